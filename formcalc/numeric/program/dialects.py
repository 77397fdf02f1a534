"""How the engines spell what differs between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How an engine spells what differs: the module of its functions, the permutation of axes, and a copy.

    Attributes:
        copy: none where arrays are not changed.
        scales_products: whether a product of matrices takes a scale along; otherwise numbers go where they cost least.
        releases: whether an array is let go of as soon as nothing reads it any more.
        product: what writes a product of two matrices to an array.
        products: what writes the products of two stacks of matrices.
    """

    module: str
    permute: str
    copy: str
    scales_products: bool = False
    releases: bool = False
    product: str = "np.dot"
    products: str = "np.matmul"


NUMPY = Dialect("np", "transpose", ".copy()")
NUMBA = Dialect("np", "transpose", ".copy()", scales_products=True, product="matmul", products="matmul")
JAX = Dialect("jnp", "transpose", "")
TORCH = Dialect("torch", "permute", ".clone()", True, True)
