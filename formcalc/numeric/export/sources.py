"""The source of what an exported file uses: functions of a module of primitives, and what these use in turn."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Library:
    """The top level of modules, which are read but not imported: their engine need not be installed.

    Attributes:
        parts: by name, the source of what is defined.
        imports: by name, the import that brings it.
    """

    parts: dict[str, str]
    imports: dict[str, str]

    @classmethod
    def of(cls, *modules: str) -> Library:
        """The library of modules of this package; what several define is that of the first."""
        parts: dict[str, str] = {}
        imports: dict[str, str] = {}
        for module in modules:
            found = importlib.util.find_spec(module)
            assert found is not None
            assert found.origin is not None
            new, lines = _read(Path(found.origin).read_text(encoding="utf-8"))
            parts = new | parts
            imports = lines | imports
        return cls(parts, imports)

    def needed(self, texts: Iterable[str]) -> tuple[list[str], list[str]]:
        """The imports and the definitions that some source needs, in the order of the module."""
        found: set[str] = set()
        stack = list(texts)
        while stack:
            text = stack.pop()
            new = (names_in(text) - _assigned(text)) & self.parts.keys() - found
            found |= new
            stack += [self.parts[name] for name in new]
        parts = [part for name, part in self.parts.items() if name in found]
        used = set().union(*map(names_in, [*texts, *parts]))
        return [line for name, line in self.imports.items() if name in used - self.parts.keys()], parts


def _read(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """What a source defines, and what it imports."""
    parts: dict[str, str] = {}
    imports: dict[str, str] = {}
    for node in ast.parse(text).body:
        source = ast.get_source_segment(text, node) or ""
        match node:
            case ast.FunctionDef(name=name):
                parts[name] = source
            case ast.Import() | ast.ImportFrom():
                imports |= {alias.asname or alias.name: source for alias in node.names}
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                parts |= {
                    ast.unparse(name): f"{ast.unparse(name)} = {ast.unparse(value)}"
                    for name, value in zip(names, values, strict=True)
                }
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                parts[ast.unparse(target)] = source
    return parts, imports


def names_in(text: str) -> set[str]:
    """All names that a source reads."""
    nodes = ast.walk(ast.parse(text))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _assigned(text: str) -> set[str]:
    """All names that a source assigns to."""
    nodes = ast.walk(ast.parse(text))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def bound(text: str) -> set[str]:
    """The names that an import brings."""
    imports = (node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom)))
    return {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}
