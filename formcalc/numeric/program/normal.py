"""The standard normal distribution function as a polynomial, for engines that have none for whole arrays.

``Φ(-x) = exp(-x²/2) m(x)`` for x >= 0, where m falls slowly, like 1/x: it is a polynomial in ``t = (x - 4)/(x + 4)``,
which runs from -1 to 1 (M. M. Shepherd and J. G. Laframboise, Mathematics of Computation 36, 1981, do so for erfc). The
polynomials take the values of m at Chebyshev points. The derivative of GELU needs the same exponential.
"""

from __future__ import annotations

#: Where t is 0.
MIDDLE = 4.0

#: Beyond this Φ(-x) is 0, in float64, too.
FAR = 40.0

#: m from the lowest degree, less than half a unit in the last place of 1 off in float64, and in float32.
TAIL = (
    0.09441064130196894,
    -0.17039772154845437,
    0.12437925533926371,
    -0.07170740733782996,
    0.0308648041062912,
    -0.008492095479705676,
    0.0005075620757808697,
    0.0006388138229651326,
    -0.00018718427862232952,
    -4.5554703668377396e-05,
    2.8648405412411718e-05,
    4.630787652129803e-06,
    -4.303796354361621e-06,
    -8.274112247863845e-07,
    6.620966188723501e-07,
    2.0259905246566012e-07,
    -9.510776135288473e-08,
    -4.9027250131047174e-08,
    1.0302583659889131e-08,
    9.251165864485658e-09,
    -3.8403679567913895e-10,
    -9.527023452785242e-10,
    -6.1144827175298e-11,
)
TAIL_SINGLE = (
    0.09441064130196894,
    -0.1703976886287224,
    0.12437922446719132,
    -0.07170807057673206,
    0.03086542634901529,
    -0.00848831044854525,
    0.0005040076364525382,
    0.0006298207928571364,
    -0.00017872835520125923,
    -3.575377247438331e-05,
    1.9431029927982555e-05,
)
