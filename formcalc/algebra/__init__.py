"""The typed free monoid algebra: dimensions, letters, words and sums, immutable and interned."""

from formcalc.algebra.application import Apply
from formcalc.algebra.compound import Compound, Hadamard, OneForm, Product, Sum, Trace, excerpt
from formcalc.algebra.constants import identity, is_ones, ones
from formcalc.algebra.dimension import SCALAR, Axes, Dimension, Shape, axes_text, ordered, shape_text
from formcalc.algebra.expression import Expression, Kinds, contains, first_paths, fold, postorder
from formcalc.algebra.letters import Letter, Role, Symbol
from formcalc.algebra.rendering import PLAIN, Notation, plain, render, small_decimal
from formcalc.algebra.row_sums import COLUMN_SUM, ROW_SUM
from formcalc.algebra.scalars import PI, Number, Power
from formcalc.algebra.summation import AxisSum, LayerSum
from formcalc.algebra.transposition import transpose

Expression.kinds = Kinds(product=Product, sum=Sum, number=Number, transpose=transpose, text=plain)

__all__ = [
    "COLUMN_SUM",
    "PI",
    "PLAIN",
    "ROW_SUM",
    "SCALAR",
    "Apply",
    "Axes",
    "AxisSum",
    "Compound",
    "Dimension",
    "Expression",
    "Hadamard",
    "LayerSum",
    "Letter",
    "Notation",
    "Number",
    "OneForm",
    "Power",
    "Product",
    "Role",
    "Shape",
    "Sum",
    "Symbol",
    "Trace",
    "axes_text",
    "contains",
    "excerpt",
    "first_paths",
    "fold",
    "identity",
    "is_ones",
    "ones",
    "ordered",
    "plain",
    "postorder",
    "render",
    "shape_text",
    "small_decimal",
    "transpose",
]
