"""The stock models."""

from formcalc.models.stock import load, models

__all__ = ["load", "models"]
