"""Pages from parts, for tests."""

import formcalc as fc


def page(shapes, definitions=(), loss="", *, data=(), size=3, **sizes):
    """The model of a page of square or rectangular letters; every dimension has `size` unless said."""
    dimensions = dict.fromkeys(part for shape in shapes.values() for part in shape if isinstance(part, str))
    lines = ["dims " + ", ".join(f"{name} = {sizes.get(name, size)}" for name in dimensions)]
    for name, (rows, columns) in shapes.items():
        lines.append(f"{'data' if name in data else 'weights'} {name}: {rows}×{columns}")
    lines += [f"{name} = {body}" for name, body in dict(definitions).items()]
    return fc.load("\n".join([*lines, f"loss = {loss}"]))


def answering(shapes, definitions, answer, *, data=(), **sizes):
    """The model whose loss is half the squared error of an answer against Y, T×d."""
    return page(
        {**shapes, "Y": ("T", "d")},
        {**definitions, "E": f"Y - ({answer})"},
        "1/2 trace(E^t E)",
        data=("Y", *data),
        **sizes,
    )
