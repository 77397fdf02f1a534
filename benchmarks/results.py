"""A file of results: what is measured is kept, part by part, and is not measured again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measurement import Message, Note, Settings, read, written


def kept(file: Path | None, settings: Settings) -> list[Message]:
    """The messages of earlier runs with the same settings, of what was measured to its end."""
    lines = [] if file is None or not file.exists() else file.read_text(encoding="utf-8").splitlines()
    try:
        earlier, *found = [read(line) for line in lines] or [settings]
        if not isinstance(earlier, Settings):
            raise ValueError("it does not begin with what it was measured with")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{file} does not hold results of this command ({error}); give another file")
    if earlier != settings:
        sys.exit(f"{file} holds results of {earlier}; give these, or another file")
    ends = [place for place, message in enumerate(found) if isinstance(message, Note) and message.is_done]
    return found[: ends[-1] + 1] if ends else []


def keep(file: Path | None, settings: Settings, found: Sequence[Message]) -> None:
    """Write all messages to the file, if there is one."""
    if file is not None:
        file.write_text("".join(f"{written(message)}\n" for message in (settings, *found)), encoding="utf-8")


def done(found: Sequence[Message]) -> set[str]:
    """The parts of the work that were measured to their end."""
    return {message.text for message in found if isinstance(message, Note) and message.is_done}
