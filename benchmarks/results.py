"""A file of results: what is measured is kept, part by part, and is not measured again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measurement import Depth, Measurement, Note, read, written

Message = Measurement | Depth | Note


def kept(file: Path | None) -> list[Message]:
    """The messages of earlier runs, of what was measured to its end."""
    lines = [] if file is None or not file.exists() else file.read_text(encoding="utf-8").splitlines()
    try:
        found = [read(line) for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{file} does not hold results of this command ({error}); give another file")
    ends = [place for place, message in enumerate(found) if isinstance(message, Note) and message.is_done]
    return found[: ends[-1] + 1] if ends else []


def keep(file: Path | None, found: Sequence[Message]) -> None:
    """Write all messages to the file, if there is one."""
    if file is not None:
        file.write_text("".join(f"{written(message)}\n" for message in found), encoding="utf-8")


def done(found: Sequence[Message]) -> set[str]:
    """The parts of the work that were measured to their end."""
    return {message.text for message in found if isinstance(message, Note) and message.is_done}
