"""Constant letters in exported files: functions for numpy; for torch, its name takes numpy's place."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def causal(rows: int, columns: int) -> Array:
    """What a token may attend to: (i, j) is 1 if j <= i, else 0."""
    return 1.0 * (np.arange(columns) <= np.arange(rows)[:, None])


def distance(rows: int, columns: int) -> Array:
    """How far a key stands behind a query, negative before it: (i, j) is j - i."""
    return 1.0 * (np.arange(columns) - np.arange(rows)[:, None])


def slopes(heads: int, rows: int, columns: int) -> Array:
    """The slopes of linear biases of scores (ALiBi), ``2^{-8h/n}`` for the h-th of n heads; (heads, 1, 1)."""
    return 2.0 ** (-8 * np.arange(1, heads + 1, dtype=np.float64) / heads).reshape(heads, rows, columns)


def sinusoidal(rows: int, columns: int) -> Array:
    """Sinusoidal positions: (i, k) is ``sin(i / 10000^{k/d})`` for even k, ``cos(i / 10000^{(k-1)/d})`` for odd k; both
    count from 1."""
    k = np.arange(1, columns + 1)
    even = k % 2 == 0
    power = np.where(even, k, k - 1) / np.full((1,), 1.0 * columns, dtype=np.float64)
    angle = np.arange(1, rows + 1)[:, None] / 10000.0**power
    return np.where(even, np.sin(angle), np.cos(angle))


def angles(rows: int, columns: int) -> Array:
    """The angles of rotary positions: (t, j) is ``t 10000^{-2p/k}``, p = j mod k/2; t counts from 0."""
    p = np.arange(columns, dtype=np.float64) % (columns // 2)
    return np.arange(rows)[:, None] * 10000.0 ** (-2 * p / columns)


def cosines(rows: int, columns: int) -> Array:
    """The cosines of rotary positions."""
    return np.cos(angles(rows, columns))


def sines(rows: int, columns: int) -> Array:
    """The sines of rotary positions."""
    return np.sin(angles(rows, columns))


def quarterturn(rows: int, columns: int) -> Array:
    """The quarter turn of the pairs (j, j + k/2) of columns."""
    step = np.arange(columns) - np.arange(rows)[:, None]
    return 1.0 * (step == rows // 2) - 1.0 * (step == -(rows // 2))
