"""The grammar of formcalc, as package data."""
