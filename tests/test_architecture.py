"""The shape of the code: imports point one way, none hides in a function, everything public says what it is."""

import ast
from pathlib import Path

import pytest

import formcalc

ROOT = Path(formcalc.__file__).parent

#: Each folder may import the folders before it; a module outside, such as formcalc.manual, stands above all but app.
FOLDERS = (
    "algebra",
    "operators",
    "language",
    "calculus",
    "numeric",
    "verify",
    "geometry",
    "models",
    "train",
    "app",
    "__main__",
)

#: Engines that are not installed with formcalc, so that only a function that needs one may import it.
OPTIONAL = {"jax", "torch", "transformers", "numba", "llvmlite"}

MAX_LINES = 400

SOURCES = sorted(ROOT.rglob("*.py"))

each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("formcalc", *parts)).removesuffix(".__init__")


def rank(module):
    """The place of a module in the order of imports."""
    parts = module.split(".")
    if parts[0] != "formcalc" or parts[1:2] in (["errors"], ["grammar"]):
        return -1
    folder = parts[1] if len(parts) > 1 else ""
    return FOLDERS.index(folder) if folder in FOLDERS else FOLDERS.index("app") - 0.5


def imports(tree):
    """Every import in a tree: the module, and the node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            is_package = node.module == "formcalc"
            yield from ((name, node) for name in (modules if is_package else [node.module]))


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_folder_has_its_place():
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES if path.parent != ROOT} <= set(FOLDERS)


@each_source
def test_imports_point_one_way(path):
    own = module_name(path)
    above = [name for name, _ in imports(parsed(path)) if name != own and rank(name) > rank(own)]
    assert above == []


def test_errors_import_nothing_of_the_project():
    assert [name for name, _ in imports(parsed(ROOT / "errors.py")) if name.startswith("formcalc")] == []


@each_source
def test_only_optional_engines_are_imported_inside_functions(path):
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    hidden = {name.split(".")[0] for function in functions for name, _ in imports(function)}
    assert hidden <= OPTIONAL


@each_source
def test_optional_engines_are_imported_only_inside_functions(path):
    tree = parsed(path)
    inside = {node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for _, node in imports(f)}
    outside = {name.split(".")[0] for name, node in imports(tree) if node not in inside}
    # the primitives of an engine are modules of their own, which are imported by name when a program asks for them
    engine = path.stem.partition("_")[0]
    own = {"numba", "llvmlite"} if engine == "numba" else {engine} if path.stem.endswith("_primitives") else set()
    assert outside & OPTIONAL <= own


@each_source
def test_primitives_of_engines_are_imported_by_name_only(path):
    names = [
        name.rpartition(".")[2] for name, _ in imports(parsed(path)) if name.startswith("formcalc.numeric.program.")
    ]
    primitives = [name for name in names if name in ("jax_primitives", "torch_primitives") or name.startswith("numba_")]
    assert primitives == [] or path.stem.startswith("numba_")


@each_source
def test_everything_public_has_a_docstring(path):
    tree = parsed(path)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    assert ast.get_docstring(tree)
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@each_source
def test_no_file_is_too_long_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("formcalc.errors", "formcalc.algebra.letters"),
        ("formcalc.algebra", "formcalc.operators"),
        ("formcalc.verify.report", "formcalc"),
        ("formcalc.models", "formcalc.manual"),
        ("formcalc.manual", "formcalc.app.main"),
        ("formcalc", "formcalc.app"),
        ("numpy", "formcalc.algebra"),
    ],
)
def test_order_of_modules(lower, higher):
    assert rank(lower) < rank(higher)
