"""The stock models, and models from files."""

from formcalc.models.stock import load, models, read

__all__ = ["load", "models", "read"]
