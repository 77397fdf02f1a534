"""How hypothesis runs, without deadlines, and in CI with the same examples every time; how programs are made."""

import os

from hypothesis import settings

from formcalc.numeric.program import hosting

# in a hurry: what is computed counts here, not how fast
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, max_examples=60)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# values of small pages lie in gradients as well, as those of large ones do
hosting.LEAST = 1
