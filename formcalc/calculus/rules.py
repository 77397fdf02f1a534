"""The rewriting rules as data, and the record of each use of one."""

from __future__ import annotations

from dataclasses import dataclass

from formcalc.algebra import Expression


@dataclass(frozen=True)
class Rule:
    """A rule of the calculus: its name, its statement, and an example that the tests run.

    Letters of the example are square matrices, and ``H`` is a family of them over an axis ``h``, so that every example
    is well-shaped.
    """

    name: str
    statement: str
    before: str
    after: str


@dataclass(frozen=True)
class Step:
    """One use of a rule: at which place (child indices from the root), and what stood there before and after."""

    rule: Rule
    place: tuple[int, ...]
    before: Expression
    after: Expression

    def __str__(self) -> str:
        place = ".".join(map(str, self.place)) or "whole"
        return f"{self.rule.name} at {place}:  {self.before}  ->  {self.after}"


DISTRIBUTE = Rule("distribute", "a product distributes over sums", "(A + B) C", "A C + B C")
LINEAR = Rule(
    "linear",
    "a linear operator letter distributes over sums in its last argument",
    "mm(P, A + B)",
    "mm(P, A) + mm(P, B)",
)
SCALAR_OUT = Rule("scalar out", "scalars come out of a linear operator letter", "mm(P, 2 A)", "2 mm(P, A)")
BILINEAR = Rule(
    "bilinear",
    "a Hadamard product distributes over the sum that carries the differential",
    "A ∘ (dB + dC)",
    "A ∘ dB + A ∘ dC",
)
LINEAR_SUM = Rule("linear sum", "a sum over axes distributes over sums", "Σ_h (H A + H B)", "Σ_h H A + Σ_h H B")
ASSOCIATE = Rule("associate", "nested products and sums become one list", "A (B C) + (A + B)", "A B C + A + B")
SHIFT = Rule("shift", "trace(A L(P, R) B) = trace(L^t(P^t, B A) R)", "A mm(P, C dW) B", "mm(P^t, B A) C dW")
SHIFT_HADAMARD = Rule(
    "shift Hadamard", "trace(A (G ∘ R) B) = trace((G^t ∘ (B A)) R)", "A (G ∘ dW) B", "(G^t ∘ (B A)) dW"
)
SHIFT_TRACE = Rule("shift trace", "trace(A trace(R) B) = trace(trace(B A) R)", "A trace(C dW) B", "trace(B A) C dW")
RELEASE = Rule("release", "a trace is summed over all axes, as the sum inside is", "A (Σ_h H dW) B", "A H dW B")
ROTATE = Rule("rotate", "trace(A dW B) = trace(B A dW)", "A dW B", "B A dW")
TRANSPOSE = Rule("transpose", "trace(A dW^t) = trace(A^t dW)", "A B dW^t", "B^t A^t dW")
GATHER = Rule("gather", "words with the same differential are one coefficient", "A dW + B dW", "(A + B) dW")

RULES: tuple[Rule, ...] = (
    DISTRIBUTE,
    LINEAR,
    SCALAR_OUT,
    BILINEAR,
    LINEAR_SUM,
    ASSOCIATE,
    SHIFT,
    SHIFT_HADAMARD,
    SHIFT_TRACE,
    RELEASE,
    ROTATE,
    TRANSPOSE,
    GATHER,
)
