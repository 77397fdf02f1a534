"""The memory of programs: known before the run, and kept under a limit."""

import tracemalloc

import numpy as np
import pytest
import torch

import formcalc as fc
from benchmarks.memory import of_torch
from formcalc.errors import FormcalcError
from formcalc.numeric.program import arrangement, memory, scheduling, threads

STACK = {"B": 4, "T": 32, "N": 32, "d": 64, "h": 4, "k": 16, "f": 256, "L": 4, "V": 128}


def stack(**sizes):
    return fc.derive(fc.load("gpt2", **(STACK | sizes)))


LIMITS = [
    ("encoder", 0.8, {"T": 24, "L": 4}),
    ("decoder", 0.8, {"T": 24}),
    ("gpt2", 0.8, {"B": 4, "T": 12, "N": 12}),
    ("gpt2", 0.6, {"B": 4, "T": 24, "N": 24}),
    ("llama", 0.6, {"B": 3, "T": 24}),
]


@pytest.mark.parametrize(
    ("engine", "name", "share", "sizes"),
    [(engine, *limit) for engine in ("numpy", "numba", "torch") for limit in LIMITS]
    + [("jax", *limit) for limit in LIMITS[:2] + LIMITS[3:4]],
)
def test_under_a_limit_a_program_computes_the_same(name, share, sizes, engine):
    form = fc.derive(fc.load(name, **sizes))
    limit = int(fc.compile(form).peak * share)
    program = fc.compile(form, engine, memory=limit)
    assert program.peak <= limit
    arrays = fc.sample(form.model)
    reference = fc.evaluate(form, arrays)
    largest = max(abs(value).max() for value in reference.values())
    for letter, found in program(arrays).coefficients.items():
        np.testing.assert_allclose(np.asarray(found), reference[letter], rtol=1e-9, atol=1e-12 * largest)


def test_what_is_computed_again_costs_operations_that_the_plan_names():
    form = fc.derive(fc.load("encoder", L=6, T=24))
    free = fc.compile(form)
    limited = fc.compile(form, memory=int(free.peak * 0.8))
    assert free.plan.recomputed == 0
    assert limited.plan.recomputed > 0
    assert limited.plan.flops == free.plan.flops + limited.plan.recomputed
    assert "computing again" in str(limited.plan)
    assert "_again" in limited.source


def test_no_more_is_computed_again_than_the_limit_asks_for():
    form = fc.derive(fc.load("encoder", L=6, T=24))
    free = fc.compile(form).peak
    costs = [fc.compile(form, memory=int(free * share)).plan.recomputed for share in (0.95, 0.9, 0.8, 0.6)]
    assert costs == sorted(set(costs))
    assert costs[0] > 0


def test_a_large_batch_runs_in_parts_rather_than_that_anything_is_computed_again():
    form = stack(B=16)
    free = fc.compile(form)
    limited = fc.compile(form, memory=int(free.peak * 0.8))
    assert limited.parts > free.parts
    assert limited.plan.recomputed == 0
    assert limited.plan.product_flops == free.plan.product_flops
    assert f"in {limited.parts} parts" in str(limited.plan)


def test_parts_side_by_side_compute_again_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(arrangement, "WORTH_SHARING", -1)
    monkeypatch.setattr(threads, "workers", lambda: 2)
    form = stack()
    free = fc.compile(form)
    limited = fc.compile(form, memory=int(free.peak * 0.8))
    assert (limited.parts, limited.workers) == (2, 2)
    assert limited.plan.recomputed > 0
    assert limited.peak <= free.peak * 0.8
    arrays = fc.sample(form.model)
    gradients = limited(arrays).gradients
    for name, found in free(arrays).gradients.items():
        np.testing.assert_allclose(gradients[name], found, rtol=1e-9, atol=1e-12)


def test_what_a_pass_or_two_computes_again_is_not_kept():
    source = fc.compile(stack()).source
    assert "F_i_saved" in source  # the argument of GELU
    for name in ("N_i", "R_i"):  # norms, with gain and bias
        assert f"{name}_saved" not in source
        assert f"out={name}_again)" in source
    assert "gelu_tanh_slope(F_i, " in source
    assert ", value=" in source


def test_what_several_loops_compute_again_has_names_of_its_own():
    source = fc.compile(fc.derive(fc.derive(fc.load("gpt2")))).source
    assert " t6_again = " in source
    assert " t6_again_2 = " in source


def test_parts_hand_gradients_on_as_they_are_made(monkeypatch):
    monkeypatch.setattr(arrangement, "WORTH_SHARING", -1)
    monkeypatch.setattr(threads, "workers", lambda: 2)
    lines = fc.compile(stack()).source.splitlines()
    made = next(k for k, line in enumerate(lines) if "np.dot(" in line and "out=dU_i)" in line)
    assert 'add_to_total(f"U_{i}"' in lines[made + 1]
    assert any("np.dot(" in line for line in lines[made + 2 :])


def test_the_peak_of_a_limited_program_rises_with_the_limit():
    form = stack()
    whole = fc.compile(form).peak
    peaks = [fc.compile(form, memory=int(whole * share)).peak for share in (0.6, 0.8, 1)]
    assert peaks == sorted(peaks)


@pytest.mark.parametrize("share", [1, 0.7, 0.45])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_peak_is_what_is_allocated(share, dtype):
    form = stack(T=256, N=256)  # functions entry by entry work on a few pieces of 128 KiB, which are not planned
    program = fc.compile(form, dtype=dtype)
    if share < 1:
        program = fc.compile(form, dtype=dtype, memory=int(program.peak * share))
    prepared = program.prepare(fc.sample(form.model))
    tracemalloc.start()
    try:
        program.run(prepared)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # the workspaces are there before the run
    measured = peak + program.memory.workspace * program.workers
    assert program.peak == pytest.approx(measured, rel=0.1)


def test_parts_side_by_side_have_workspaces_of_their_own(monkeypatch):
    monkeypatch.setattr(arrangement, "WORTH_SHARING", -1)
    monkeypatch.setattr(threads, "workers", lambda: 2)
    program = fc.compile(stack())
    assert program.parts == 2
    assert program.peak == 2 * program.memory.workspace + program.memory.outputs


@pytest.mark.parametrize("limit", [1, 10_000])
def test_a_limit_that_is_too_small_is_an_error_that_says_what_is_needed(limit):
    with pytest.raises(FormcalcError, match=r"encoder needs .* at the least, more than the limit of") as caught:
        fc.compile(fc.derive(fc.load("encoder", T=32, d=32)), memory=limit)
    assert memory.readable(limit) in str(caught.value)


@pytest.mark.parametrize("limit", [0, -5, 1.5, True, "1 GB"])
def test_a_limit_is_a_number_of_bytes(limit):
    with pytest.raises(FormcalcError, match="memory is a number of bytes, above 0"):
        fc.compile(fc.derive(fc.load("encoder")), memory=limit)


def test_a_program_that_the_machine_cannot_hold_is_refused_before_it_allocates():
    form = fc.derive(fc.load("encoder", T=4_000_000, d=64))
    with pytest.raises(FormcalcError, match=r"a run of encoder needs .* TiB, inputs included, but the machine has"):
        fc.compile(form)


def test_reverse_mode_multiplies_as_the_page_is_written():
    page = """dims T = 6, a = 5, b = 4, c = 3
data X: T×a   Y: T×c
weights W: a×b   V: b×c
E = Y - X W V
loss = trace(Y^t E)
"""
    plan = fc.compile(fc.derive(fc.load(page))).plan
    # X and Y need no cotangent: a product with one of them has one product in the backward pass, others have two
    assert plan.reverse_mode == 2 * (2 * 6 * 5 * 4 + 3 * 6 * 4 * 3 + 2 * 6 * 3)
    assert plan.product_flops <= plan.reverse_mode


def test_adapters_cost_less_than_in_reverse_mode():
    page = """dims T = 64, d = 128, r = 2
data X, Y: T×d   W: d×d
weights A: d×r   B: r×d
E = Y - X (W + A B)
loss = 1/2 trace(E^t E)
"""
    plan = fc.compile(fc.derive(fc.load(page))).plan
    # as written: X times the sum, its cotangent X^t G, and the products with A and B
    assert plan.reverse_mode > 1.8 * plan.product_flops
    assert "in reverse mode" in str(plan)


@pytest.mark.parametrize("name", ["gpt2", "llama", "encoder"])
def test_torch_lets_go_of_what_nothing_reads_any_more(name):
    form = fc.derive(fc.load(name, L=4))
    program = fc.compile(form, "torch")
    assert ".pop(i)" in program.source
    assert "_saved[i]\n" not in program.source  # nothing that is kept stays after it has been read
    assert "    del " in program.source
    found = program(fc.sample(form.model))
    assert all(torch.isfinite(gradient).all() for gradient in found.gradients.values())


@pytest.mark.parametrize("share", [1, 0.85])
@pytest.mark.parametrize("name", ["gpt2", "llama", "encoder", "decoder"])
def test_the_peak_of_torch_is_what_its_allocator_says(name, share):
    form = fc.derive(fc.load(name, T=24, L=4, **({"N": 24} if name == "gpt2" else {})))
    program = fc.compile(form, "torch")
    if share < 1:
        program = fc.compile(form, "torch", memory=int(program.peak * share))
    prepared = program.prepare(fc.sample(form.model))
    assert program.peak == pytest.approx(of_torch(lambda: program.run(prepared)), rel=0.1)


def test_steps_come_in_the_order_that_needs_least_memory(monkeypatch):
    """The weights of the manual's encoder, each with a gradient as large as an activation."""
    form = fc.derive(fc.load("encoder", T=64, d=64, L=4))
    peaks = {}
    for name in ("torch", "numpy"):
        with monkeypatch.context() as patch:
            patch.setattr(scheduling, "BEAM", 0)
            as_written = fc.compile(form, name)
        program = fc.compile(form, name)
        peaks[name] = program.peak / as_written.peak
        arrays = fc.sample(form.model)
        for letter, found in program(arrays).gradients.items():
            np.testing.assert_allclose(found, as_written(arrays).gradients[letter], rtol=1e-12, atol=1e-15)
    assert peaks["torch"] < 0.95
    assert peaks["numpy"] <= 1


def test_the_slope_of_the_logits_is_gone_before_the_layers_are_gone_back_through():
    source = fc.compile(fc.derive(fc.load("gpt2")), "torch").source
    assert source.index("del G_t") < source.index("range(1, -1, -1)")
