"""Exported source: a form as a file that needs only numpy, jax or torch."""

from formcalc.numeric.export.targets import TARGETS, export

__all__ = ["TARGETS", "export"]
