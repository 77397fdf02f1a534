"""Recording the uses of rules while a pass runs."""

from __future__ import annotations

from formcalc.algebra import Expression, first_paths
from formcalc.calculus.rules import Rule, Step


class Recorder:
    """Collects the steps of one pass over one expression; with `steps` None it does nothing, at no cost."""

    def __init__(self, root: Expression, steps: list[Step] | None) -> None:
        self.steps = steps
        self.places = first_paths(root) if steps is not None else {}

    def note(self, rule: Rule, node: Expression, before: Expression, after: Expression) -> None:
        """Record that `rule` turned `before`, which stands where `node` stood in the root, into `after`."""
        if self.steps is not None and before is not after:
            self.steps.append(Step(rule, self.places.get(node, ()), before, after))
