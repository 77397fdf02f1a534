"""The manual's forms(2), word for word, after flatten, after shiftmm and after cycle."""

from pathlib import Path

import pytest

from formcalc import manual
from formcalc.calculus import PIPELINE, normal_form, stages

GOLDEN = Path(__file__).parents[1] / "golden"
STAGES = {"flatten": "flattened", "shiftmm": "shifted", "cycle": "cycled"}


def golden(stage):
    return (GOLDEN / f"manual_forms_2.{STAGES[stage]}.txt").read_text(encoding="utf-8").splitlines()


def words(form):
    return [str(word) for word in form]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_pipeline_is_the_listing(stage):
    after = {found.name: found.after for found in stages(manual.form(manual.encoder(2)))}
    assert words(after[stage]) == golden(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_the_manuals_own_lines_give_the_listing(stage):
    z = manual.flatten(manual.expandmm(manual.expandAll(manual.form(manual.encoder(2)))))
    shifted = manual.shiftmm(z)
    assert words({"flatten": z, "shiftmm": shifted, "cycle": manual.cycle(shifted)}[stage]) == golden(stage)


def test_forms_is_the_last_listing():
    assert words(manual.forms(2)) == golden("cycle")


def test_forms_with_k_is_the_kth_line_from_one():
    lines = golden("cycle")
    assert [str(manual.forms(2, k)) for k in range(1, 17)] == lines
    assert str(manual.forms(2, 4)) == lines[3]


def test_z_counts_from_zero():
    z = manual.flatten(manual.expandmm(manual.expandAll(manual.form(manual.encoder(2)))))
    assert z.length == 16
    assert str(z[13]) == golden("flatten")[13]
    assert str(manual.shiftmm(z[13])) == golden("shiftmm")[13]
    assert str(manual.cycle(manual.shiftmm(z[13]))) == golden("cycle")[13]


def test_the_pipeline_is_in_order_under_the_manuals_names():
    assert [name for name, _ in PIPELINE] == ["expandAll", "expandmm", "flatten", "shiftmm", "cycle"]


def test_every_stage_begins_where_the_one_before_ended():
    form = manual.form(manual.encoder(2))
    found = stages(form)
    assert found[0].before is form
    assert [stage.before for stage in found[1:]] == [stage.after for stage in found[:-1]]
    assert normal_form(form) is found[-1].after


def test_recording_changes_no_result():
    form = manual.form(manual.encoder(2))
    silent = stages(form, record=False)
    assert [stage.after for stage in silent] == [stage.after for stage in stages(form)]
    assert not any(stage.steps for stage in silent)


def test_one_and_three_layers_have_the_expected_number_of_words():
    # n layers: every layer but the differentiated one contributes 2 summands, the differentiated one 4
    assert [manual.forms(n).length for n in (1, 2, 3)] == [4, 16, 48]
