"""The package works where it is installed, and in its source tree."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_source_tree_works_without_an_installation():
    # -S keeps installed packages out, but the libraries are needed: their folders are handed on by hand
    libraries = [path for path in sys.path if path.endswith("-packages")]
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, *{libraries!r}]; "
        "import formcalc as fc; print(fc.load('encoder').loss)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("1/2 trace(E^t E)\n", "")
