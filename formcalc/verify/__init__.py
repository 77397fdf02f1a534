"""Verification against oracles that share no code with the derivation."""

from formcalc.verify.report import Report, Row, Table
from formcalc.verify.verification import ORACLES, verify

__all__ = ["ORACLES", "Report", "Row", "Table", "verify"]
