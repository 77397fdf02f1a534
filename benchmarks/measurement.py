"""What was measured of one entrant in one case, and how it is told from one process to another."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Measurement:
    """One row.

    Attributes:
        case: its title.
        times: those of the loss and every gradient in seconds, without preparing inputs, one for every round.
        flops: operations in products of matrices, if known.
        peak: bytes of memory beside weights and data, if they were measured.
        predicted: bytes of memory that were planned before the run.
        machine_flops: operations in a second of a large product of matrices, in the same run.
    """

    case: str
    dtype: str
    threads: int
    entrant: str
    times: tuple[float, ...]
    flops: int | None
    peak: int | None
    predicted: int | None
    machine_flops: float

    @property
    def seconds(self) -> float:
        """The median time."""
        return statistics.median(self.times)

    def over(self, other: Measurement) -> float:
        """The ratio of times: the median over rounds, since a machine is at times slower for all of a round."""
        return statistics.median(self._ratios(other))

    def interval(self, other: Measurement) -> tuple[float, float]:
        """What holds the ratio of times with a probability of nine in ten, if rounds are independent.

        Ratios of rounds at the same distance from both ends: fewer than `k` of `n` lie below the median as often as a
        coin shows fewer than `k` heads. Of fewer than five rounds, the least and the largest are the best there are.
        """
        ratios = sorted(self._ratios(other))
        rounds, distance = len(ratios), 0
        while sum(math.comb(rounds, heads) for heads in range(distance + 2)) <= 0.05 * 2**rounds:
            distance += 1
        return ratios[distance], ratios[-1 - distance]

    def _ratios(self, other: Measurement) -> list[float]:
        return [a / b for a, b in zip(self.times, other.times, strict=True)]

    @property
    def share(self) -> float | None:
        """The share of the machine's peak."""
        return None if self.flops is None else self.flops / self.seconds / self.machine_flops


@dataclass(frozen=True)
class Depth:
    """A page of so many layers.

    Attributes:
        derive, compile: median times in seconds.
        words: how many words its form has multiplied out, as shown.
        drawing: the seconds to count them and to write three.
        first: the seconds to derive and compile it, of the first in its process.
    """

    page: str
    layers: int
    derive: float
    compile: float
    words: str
    drawing: float
    first: float | None = None


@dataclass(frozen=True)
class Note:
    """Something to tell; `is_done` when a part of the work is."""

    text: str
    is_done: bool = False


@dataclass(frozen=True)
class Settings:
    """What all that is kept in one file was measured with."""

    engines: tuple[str, ...]
    rounds: int

    def __str__(self) -> str:
        return f"--rounds {self.rounds} --engines {' '.join(self.engines)}"


Message: TypeAlias = Measurement | Depth | Note | Settings

KINDS = {kind.__name__: kind for kind in (Measurement, Depth, Note, Settings)}


def written(message: Message) -> str:
    """A message as one line."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)})


def read(line: str) -> Message:
    """The message of a line."""
    values = json.loads(line)
    kind = KINDS[values.pop("kind")]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
