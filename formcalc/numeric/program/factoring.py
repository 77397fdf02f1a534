"""Common factors of the terms of a sum: ``X W + X A B`` as ``X (W + A B)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from formcalc.numeric.program.words import Monomial, Names, Placed, Word


@dataclass(eq=False)
class Group:
    """Terms of a sum that begin, or end, with the same factors.

    Attributes:
        members: the places of the terms.
        before, after: the common factors.
        rests: what is left of the terms, with the scale of each over that of the first.
        scale: of the first term.
        key: tells the sum of the rests; `labels` are its own.
    """

    members: list[int]
    before: tuple[Placed, ...]
    after: tuple[Placed, ...]
    rests: list[Monomial]
    scale: float
    key: tuple
    labels: tuple[int, ...]


def groups(words: Sequence[Word], names: Names) -> list[Group]:
    """The groups of terms that have a common first, or a common last, factor."""
    found: list[Group] = []
    for end in (0, -1):
        alike: dict[tuple, list[int]] = {}
        for place, word in enumerate(words):
            if len(word.given) > 1:
                value, labels = word.given[end]
                signature = (names.value(value), tuple(x if x in word.output else -1 for x in labels))
                alike.setdefault(signature, []).append(place)
        for members in alike.values():
            group = _group(words, members, names) if len(members) > 1 else None
            if group is not None and all(group.key != other.key for other in found):
                found.append(group)
    return found


def _group(words: Sequence[Word], members: list[int], names: Names) -> Group | None:
    first = words[members[0]]
    renamed: list[dict[int, int]] = [{} for _ in members]
    most = min(len(words[place].given) for place in members) - 1

    def common(end: int) -> bool:
        """Whether all terms have the same factor here, as the labels go."""
        value, labels = first.given[end]
        trial = [dict(known) for known in renamed]
        for place, known in zip(members, trial, strict=True):
            other, theirs = words[place].given[end]
            if other is not value:
                return False
            for x, own in zip(theirs, labels, strict=True):
                if known.setdefault(x, own) != own or ((x in first.output or own in first.output) and x != own):
                    return False
            if len(set(known.values())) < len(known):
                return False
        renamed[:] = trial
        return True

    start = stop = 0
    while start < most and common(start):
        start += 1
    while start + stop < most and common(-1 - stop):
        stop += 1
    if not start + stop:
        return None
    before, after = first.given[:start], first.given[len(first.given) - stop :]
    outside = first.output.union(*(labels for _, labels in (*before, *after)))
    rests = []
    for place, known in zip(members, renamed, strict=True):
        word = words[place]
        factors = word.given[start : len(word.given) - stop]
        rests.append(Monomial(word.scale, tuple((v, tuple(known.get(x, x) for x in own)) for v, own in factors)))
    rests.sort(key=lambda rest: (len(rest.factors), sorted(names.value(v) for v, _ in rest.factors)))
    scale = rests[0].scale
    if scale == 0:
        return None
    rests = [rest._replace(scale=1.0 if rest.scale == scale else rest.scale / scale) for rest in rests]
    key, normal = min((_pattern(rests, outside, names, way) for way in (1, -1)), key=lambda found: found[0])
    labels = tuple(sorted((x for x in normal if x in outside), key=lambda x: normal[x]))
    return Group(members, before, after, rests, scale, key, labels)


def _pattern(
    rests: Sequence[Monomial], outside: frozenset[int], names: Names, way: int
) -> tuple[tuple, dict[int, int]]:
    """What the sum of the rests computes, whatever the names of its labels; and numbers for these."""
    normal: dict[int, int] = {}
    shape = tuple(
        (
            float(rest.scale),
            tuple(
                (names.value(value), tuple(normal.setdefault(x, len(normal)) for x in labels))
                for value, labels in rest.factors[::way]
            ),
        )
        for rest in rests
    )
    return (shape, tuple(sorted(normal[x] for x in normal if x in outside))), normal
