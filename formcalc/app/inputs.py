"""From the words of a command to models and arrays."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field

import numpy as np

from formcalc.algebra import Expression, Role
from formcalc.errors import ArrayError, FormcalcError, listing, suggestion
from formcalc.language import Model, linear_model, parse
from formcalc.models import models, read
from formcalc.models.sentence import Sentence
from formcalc.numeric import sample, sized
from formcalc.numeric.arrays import bind
from formcalc.numeric.checkpoints import is_checkpoint, load_checkpoint
from formcalc.numeric.files import load_arrays


@dataclass
class Point:
    """A model, the arrays to evaluate it on if any were asked for, and how they came about; the expression it is of."""

    model: Model
    arrays: dict[str, np.ndarray] | None = None
    origin: list[str] = field(default_factory=list)
    expression: Expression | None = None


def point_of(options: argparse.Namespace, needs_arrays: bool = False) -> Point:
    """The model that a command names, at the sizes and on the arrays that its options give."""
    sizes = _sizes(options.size)
    given = load_arrays(options.arrays) if options.arrays else {}
    if is_checkpoint(options.model, [*given]):
        given, sizes = load_checkpoint(options.model, options.arrays, sizes)
    if options.model in models() or options.model.endswith(".fc"):
        if options.weight or options.data or options.ones:
            raise FormcalcError(f"{options.model} declares its own letters: leave out --weight, --data and --ones")
        return _page_point(options, sizes, given, needs_arrays)
    if options.text or options.layers:
        raise FormcalcError(
            "--text and --layers belong to a model with layers; an expression takes --arrays and --size"
        )
    return _expression_point(options, sizes, given, needs_arrays)


def _page_point(
    options: argparse.Namespace, sizes: dict[str, int], given: dict[str, np.ndarray], needs_arrays: bool
) -> Point:
    name, page = read(options.model)
    if options.layers:
        sizes = {"L": options.layers, **sizes}
    # Sizes that only the data will tell are 1 until then.
    unknown = {dimension.name: 1 for dimension in page.dimensions if dimension.default is None}
    bare = Model.of(page, name, {**unknown, **sizes})
    shown = _shown_sizes(bare, name, given, options.arrays)
    sentence = Sentence.of(options.text, options.tokens) if options.text else None
    if sentence is not None:
        shown = {**shown, **_sizes_of_sentence(sentence, bare)}
    for dimension, size in sizes.items():
        if shown.get(dimension, size) != size:
            raise ArrayError(
                f"--size {dimension}={size} contradicts the given data, where {dimension} = {shown[dimension]}"
            )
    model = Model.of(page, name, {**sizes, **shown})
    point = Point(model, origin=_file_origin(given, options.arrays))
    arrays = dict(given)
    if sentence is not None:
        data = _data_of_sentence(sentence, model, options.seed)
        clash = [letter for letter in data if letter in given]
        if clash:
            raise ArrayError(f"{clash[0]} is given twice, by --text and by {options.arrays}")
        arrays |= data
        point.origin.append(f"{len(sentence.tokens)} {options.tokens}: {' '.join(sentence.tokens)}")
        what = "x = token ids, y" if "x" in data else "X_0 = embeddings + sinusoidal positions, Y"
        point.origin.append(f"{what} = the same one token later")
    return _completed(point, arrays, options, needs_arrays)


def _takes_ids(model: Model) -> bool:
    """Whether a sentence comes in as token ids `x`, and its targets as `y`."""
    letters = [model.letters.get(name) for name in ("x", "y")]
    return all(letter is not None and letter.role == "tokens" for letter in letters)


def _sizes_of_sentence(sentence: Sentence, bare: Model) -> dict[str, int]:
    """The sizes that a sentence gives to a page: its length, and with ids a batch of one and the number of tokens."""
    if _takes_ids(bare):
        x = bare.letters["x"]
        rows, columns = map(str, x.symbol.shape)
        return {**{str(axis): 1 for axis in x.axes}, rows: sentence.length, columns: len(sentence.vocabulary)}
    inputs, answer = bare.letters.get("X_0"), bare.letters.get("Y")
    if inputs is None or answer is None or inputs.shape != answer.shape:
        raise FormcalcError(
            f"--text gives X_0 and an answer Y of the same shape, or tokens x and y, which {bare.name} does not have: "
            "use --arrays"
        )
    return {str(inputs.shape[0]): sentence.length}


def _data_of_sentence(sentence: Sentence, model: Model, seed: int) -> dict[str, np.ndarray]:
    """The letters that a sentence gives: ids and targets, with no padding; or embeddings and the answer."""
    if _takes_ids(model):
        ids = sentence.ids()
        data = {"x": ids[:-1].reshape(model.shapes["x"]), "y": ids[1:].reshape(model.shapes["y"])}
        masks = {name: np.ones(model.shapes[name]) for name, letter in model.letters.items() if letter.role == "mask"}
        return data | masks
    inputs, answer = sentence.matrices(model.shapes["X_0"][1], seed)
    return {letter: inputs for letter in model.letters if re.fullmatch(r"X_\d+", letter)} | {"Y": answer}


def _expression_point(
    options: argparse.Namespace, sizes: dict[str, int], given: dict[str, np.ndarray], needs_arrays: bool
) -> Point:
    shapes, roles = declared_letters(options)
    if not shapes and not re.search(r"[\s(^∘+]", options.model):
        cure = suggestion(options.model, models()) or f"stock models: {', '.join(models())}"
        raise FormcalcError(f"{options.model!r} is neither a stock model nor an expression with letters; {cure}")
    expression = parse(options.model, shapes, roles=roles)
    bare = linear_model(expression)
    shown = _shown_sizes(bare, "the expression", given, options.arrays)
    unknown = [dimension for dimension in sizes if dimension not in bare.dimensions]
    if unknown:
        raise FormcalcError(
            f"the expression has no dimension {unknown[0]!r}; its dimensions: {listing(bare.dimensions)}"
        )
    model = sized(linear_model(expression, {**sizes, **shown}))
    point = Point(model, origin=_file_origin(given, options.arrays), expression=expression)
    return _completed(point, dict(given), options, needs_arrays)


def _shown_sizes(bare: Model, name: str, given: dict[str, np.ndarray], path: str) -> dict[str, int]:
    """The sizes of dimensions that the arrays of a file show, all of which must be letters of the model."""
    foreign = [letter for letter in given if letter not in bare.letters]
    if foreign:
        raise ArrayError(f"{path}: {foreign[0]} is no letter of {name}; its letters: {listing(bare.letters)}")
    return bind([bare.letters[letter] for letter in given], given)[1]


def _file_origin(given: dict[str, np.ndarray], path: str) -> list[str]:
    return [f"{', '.join(given)} from {path}"] if given else []


def _completed(point: Point, arrays: dict[str, np.ndarray], options: argparse.Namespace, needs_arrays: bool) -> Point:
    """Draw what is missing, if that was asked for; refuse to guess otherwise."""
    if not arrays and not needs_arrays:
        return point
    missing = [letter for letter in point.model.inputs if letter not in arrays]
    if missing and options.arrays and not options.draw_missing:
        raise ArrayError(
            f"{options.arrays}: no array for {listing(missing)}; add them to the file, or draw them with --draw-missing"
        )
    if missing:
        point.arrays = sample(point.model, options.seed, arrays)
        point.origin.append(f"drawn at random (seed {options.seed}): {listing(missing)}")
    else:
        point.arrays = arrays
    return point


def _sizes(assignments: list[str]) -> dict[str, int]:
    sizes = {}
    for assignment in assignments:
        for part in assignment.split(","):
            match = re.fullmatch(r"\s*([A-Za-z]\w*)\s*=\s*(\d+)\s*", part)
            if not match or int(match[2]) < 1:
                raise FormcalcError(f"--size {part!r}: write a dimension and a positive integer, as in --size d=16")
            sizes[match[1]] = int(match[2])
    return sizes


def declared_letters(options: argparse.Namespace) -> tuple[dict[str, tuple], dict[str, Role]]:
    """Shapes and roles from ``--weight Q,K:d×n``, ``--data X:T×d`` and ``--ones C:T×1``."""
    shapes: dict[str, tuple] = {}
    roles: dict[str, Role] = {}
    by_role: tuple[tuple[Role, list[str]], ...] = (
        ("weight", options.weight),
        ("data", options.data),
        ("ones", options.ones),
    )
    for role, declarations in by_role:
        for declaration in declarations:
            names, _, shape = declaration.rpartition(":")
            sizes = [part.strip() for part in re.split(r"[×,]", shape)]
            if len(sizes) == 1:
                sizes = [part.strip() for part in shape.split("x")]
            if not names.strip() or len(sizes) != 2 or not all(sizes):
                raise FormcalcError(f"--{role} {declaration!r}: write letters and a shape, as in --{role} Q,K:d×n")
            for name in re.split(r"[,\s]+", names.strip()):
                shapes[name] = tuple(int(size) if size.isdigit() else size for size in sizes)
                roles[name] = role
    return shapes, roles
