"""Every notebook runs, and shows what its stored outputs show."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

# Rounding differs from one linear algebra library to the next; formulas do not.
FIGURE = re.compile(r"\d\.\d|\de[+-]\d")


def symbolic_outputs(notebook):
    shown = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            assert output.output_type != "error", f"cell {number}: {output.get('evalue')}"
        # what is printed may come in several pieces
        printed = "".join(output.get("text", "") for output in cell.get("outputs", []))
        results = [text for output in cell.get("outputs", []) for text in output.get("data", {}).values()]
        shown += [(number, text) for text in (printed, *results) if text and not FIGURE.search(text)]
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# jupyter's own housekeeping, outside formcalc
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:zmq")
def test_notebook_runs_and_shows_its_stored_outputs(path):
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, kernel_name="python3").execute()
    assert symbolic_outputs(fresh) == symbolic_outputs(stored)
    assert len(symbolic_outputs(stored)) >= 8
