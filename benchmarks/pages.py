"""Tables on a page of Markdown, such as the README, between two marks."""

from __future__ import annotations

import sys

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"


def between_marks(page: str, content: str) -> str:
    """The page with what stands between its marks replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"the page has no lines {BEGIN} and {END} for the tables to stand between")
    return f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}"
