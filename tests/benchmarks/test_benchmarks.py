"""The benchmarks at small sizes: programs and peers agree, and the tables show what was measured."""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import formcalc as fc
from benchmarks import depth, memory, profile, results, tables
from benchmarks.__main__ import arguments, main, work
from benchmarks.aims import aims, missed
from benchmarks.cases import CASES, arrays_of
from benchmarks.entrants import COMPILED, ENGINES, Entrants
from benchmarks.layouts import pack, unpack
from benchmarks.measurement import Depth, Measurement, Note, Settings, read, written
from benchmarks.pages import BEGIN, END, between_marks
from benchmarks.timing import turns
from benchmarks.worker import LIMITED, TOLERANCE, differences, entered, measured

EAGER = tuple(name for name in ENGINES if name not in (*COMPILED, *LIMITED))

#: One case of each model at small sizes, where the encoders of all widths are the same.
SMALL = {(case.page, *sorted({**case.sizes, **case.small}.items())): case for case in CASES.values()}

each_case = pytest.mark.parametrize("case", SMALL.values(), ids=[case.name for case in SMALL.values()])


@each_case
def test_programs_and_peers_agree_and_are_measured(case):
    entrants = Entrants(case, "float64", EAGER, is_small=True)
    notes = []
    found, peaks = entered(entrants, notes.append)
    assert notes == []
    assert list(found) == list(peaks) == [name for name in EAGER if case.has_softmax or name != "torch SDPA"]
    assert max(differences(found).values()) < TOLERANCE["float64"]
    results = sum(x.nbytes for x in found["torch"].gradients().values())
    assert all(peak >= results for peak in peaks.values())


def test_the_stages_of_compiling_are_most_of_it():
    shares = profile.stages(2, rounds=1)
    assert all(share > 0 for share in shares.values())
    assert 0.7 < sum(shares.values()) < 1


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_profile_has_the_time_of_every_call(engine):
    model = CASES["gpt2"].model(is_small=True)
    program = fc.compile(fc.derive(model), engine, "float32")
    found = profile.profile(program, arrays_of(model), rounds=2)
    product = "np.matmul" if engine == "numpy" else "matmul"
    assert {product, "softmax", "cross_entropy_slope", "copy"} <= set(found)
    assert all(seconds > 0 for seconds in found.values())


@each_case
def test_programs_have_no_more_operations_than_the_page_as_it_is_written(case):
    entrants = Entrants(case, "float64", ("torch", "numpy program"), is_small=True)
    written_out, program = (entrants.make(name).flops for name in entrants.names)
    # reducing products, such as traces, are counted in programs and not by torch
    assert program <= 1.1 * written_out


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of its own use
def test_compiled_peers_agree():
    found, _ = entered(Entrants(CASES["adapter"], "float64", ("torch", *COMPILED), is_small=True), print)
    assert list(found) == ["torch", *COMPILED]


def test_one_that_differs_is_left_out(monkeypatch):
    entrants = Entrants(CASES["adapter"], "float64", ("torch", "numpy program"), is_small=True)
    made = entrants.make

    def wrong(name, limit=None):
        entrant = made(name, limit)
        if name == "numpy program":
            entrant.named = lambda found: {key: 1.001 * x for key, x in found.items()}
        return entrant

    monkeypatch.setattr(entrants, "make", wrong)
    notes = []
    found, _ = entered(entrants, notes.append)
    assert list(found) == ["torch"]
    assert notes == ["adapter, rank 8, 128×1024, float64, numpy program: left out, gradients differ by 1.0e-03"]


@pytest.mark.parametrize("name", ["encoder-64-64-4", "gpt2", "llama", "adapter"])
def test_layouts_of_peers_give_the_arrays_of_the_page_back(name):
    model = CASES[name].model(is_small=True)
    arrays = arrays_of(model)
    back = unpack(CASES[name].kind, model, pack(CASES[name].kind, model, arrays))
    assert set(back) == set(model.weights)
    for weight in model.weights:
        np.testing.assert_array_equal(back[weight], arrays[weight])


def test_the_peak_of_a_program_is_the_planned_one():
    form = fc.derive(fc.load("encoder", T=64, L=2, d=32))
    arrays = fc.sample(form.model)
    program = fc.compile(form)
    found = memory.of_numpy(lambda: fc.compile(form), program.prepare(arrays))
    assert abs(found / program.peak - 1) < 0.1


def test_the_peak_in_torch():
    torch = pytest.importorskip("torch")
    x = torch.ones(1000, dtype=torch.float64)
    # two at a time: the sum is there, and one of the two that are thrown away
    assert memory.of_torch(lambda: ((x + x) + x) + x) == 2 * 8000


def test_turns_of_short_and_of_long_runs(monkeypatch):
    clock, order = [0.0], []

    def run(name, seconds):
        order.append(name)
        clock[0] += seconds

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    times = turns({"long": lambda: run("long", 2), "short": lambda: run("short", 0.25)}, rounds=2, rest=0, turn=1)
    taken = [(name, len(list(group))) for name, group in itertools.groupby(order)]
    assert taken == [("long", 1), ("short", 4)] * 2
    assert times == {"long": (2, 2), "short": (0.25, 0.25)}


def test_the_first_run_of_a_turn_wakes_the_threads_and_does_not_count(monkeypatch):
    clock, left = [0.0], [0.75, 0.25, 0.25]

    def run():
        clock[0] += left.pop(0)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert turns({"short": run}, rounds=1, rest=0, turn=1.1) == {"short": (0.25,)}


def test_ratios_are_those_of_the_same_round():
    peer = Measurement("a case", "float32", 2, "torch", (1.0, 4.0, 4.0), None, None, None, 1e9)
    program = dataclasses.replace(peer, times=(0.5, 0.5, 2.0))
    assert program.over(peer) == 0.5 != program.seconds / peer.seconds


@pytest.mark.parametrize(("rounds", "distance"), [(1, 0), (5, 0), (7, 0), (8, 1), (11, 2), (15, 3)])
def test_the_interval_holds_the_ratio_nine_times_in_ten(rounds, distance):
    peer = Measurement("a case", "float32", 2, "torch", (1.0,) * rounds, None, None, None, 1e9)
    program = dataclasses.replace(peer, times=tuple(np.arange(1.0, rounds + 1)))
    assert program.interval(peer) == (1 + distance, rounds - distance)
    # how often all rounds but `distance` lie on one side of the median, by the counts of heads of all throws
    if rounds > 4:
        outside = [
            sum(sum(throw) <= far for throw in itertools.product((0, 1), repeat=rounds)) / 2**rounds
            for far in (distance, distance + 1)
        ]
        assert outside[0] <= 0.05 < outside[1]


def test_messages_read_back():
    row = Measurement("a case", "float32", 2, "jax", (0.5, 0.6), None, 3, None, 1e9)
    for message in (row, Depth("gpt2", 96, 0.1, 0.2, "9", 0.3), Note("done", is_done=True)):
        assert read(written(message)) == message
    assert json.loads(written(row))["kind"] == "Measurement"


def test_tables():
    peer = Measurement("encoder", "float32", 2, "torch", (4e-3,), 8_000_000, 2_000_000, None, 1e10)
    program = dataclasses.replace(peer, entrant="numpy program", times=(2e-3,), peak=1_000_000, predicted=900_000)
    depths = [Depth("gpt2", 1, 4e-3, 5e-3, "9", 1e-3), Depth("gpt2", 96, 5e-3, 6e-3, "92 digits", 8e-2, 7e-2)]
    overview, everything, compared, by_depth = tables.tables([peer, program], depths)
    assert overview[1:] == (
        ["case", "type", "threads", "torch ms", "numpy program"],
        [["encoder", "float32", "2", "4.000", "0.50"]],
    )
    assert tables.text(everything).splitlines()[1:] == [
        "case     type     threads  engine            ms  / torch  peak MB      planned MB   GFLOP  of peak",
        "encoder  float32  2        torch          4.000     1.00     2.00                  0.0080      20%",
        "encoder  float32  2        numpy program  2.000     0.50     1.00  0.90 (-10.0 %)  0.0080      40%",
    ]
    assert compared[2] == [["numpy program", "torch", "1", "0.50", "0.50", "0.50", "0.50", "0.50", "0.50"]]
    assert by_depth[2][1] == ["gpt2", "96", "5.00", "1.25", "6.00", "11.00", "70", "92 digits", "80"]
    lines = tables.markdown(everything).splitlines()
    assert lines[3].startswith("| --- | --- | --- | --- | ---: |")
    assert len({line.count("|") for line in lines[2:]}) == 1


def test_the_rows_of_a_case():
    options = {"entrants": ["numpy program"], "rounds": 1, "threads": 1, "small": True}
    (row,) = measured(CASES["encoder-64-64-1"], "float32", options)
    assert (row.entrant, row.dtype) == ("numpy program", "float32")
    assert row.seconds > 0
    assert 0 < row.share < 1


def test_the_time_to_derive_at_two_depths():
    rows = list(depth.measured(1, (1, 2)))
    assert [(row.page, row.layers) for row in rows] == [("encoder", 1), ("encoder", 2), ("gpt2", 1), ("gpt2", 2)]
    assert all(row.derive > 0 and row.compile > 0 for row in rows)
    assert [row.first is not None for row in rows] == [False, True, False, True]


def test_the_work_of_each_process():
    options = arguments(["--cases", "adapter", "depth", "--threads", "1", "2", "--dtypes", "float32"])
    parts = work(options)
    both = [("adapter", "float32"), ("depth", "")]
    assert [(part["threads"], part["work"]) for part in parts] == [(1, both), (2, both[:1])]
    assert work(options, {"depth", f"{CASES['adapter'].title}, float32, 1 threads"}) == parts[1:]
    quick = work(arguments(["--quick"]))
    assert {dtype for part in quick for name, dtype in part["work"] if name != depth.NAME} == {"float32"}
    assert not set(COMPILED) & set(quick[0]["entrants"])


def test_results_are_kept_as_far_as_they_were_measured_to_the_end(tmp_path):
    row = Measurement("a case", "float32", 2, "jax", (0.5, 0.6), None, 3, None, 1e9)
    whole = [row, Note("a case, float32, 2 threads", is_done=True)]
    file = tmp_path / "results.jsonl"
    settings = Settings(("jax",), 3)
    assert results.kept(None, settings) == results.kept(file, settings) == []
    results.keep(file, settings, [*whole, row])
    assert results.kept(file, settings) == whole
    assert results.done(whole) == {"a case, float32, 2 threads"}
    for text in ("[1]", written(whole[-1])):
        file.write_text(f"{text}\n")
        with pytest.raises(SystemExit, match="does not hold results"):
            results.kept(file, settings)


@pytest.mark.parametrize("other", [Settings(("jax", "torch"), 3), Settings(("jax",), 5)])
def test_results_of_other_settings_are_not_mixed(tmp_path, other):
    file = tmp_path / "results.jsonl"
    results.keep(file, Settings(("jax",), 3), [Note("a case, float32, 2 threads", is_done=True)])
    with pytest.raises(SystemExit, match=r"holds results of --rounds 3 --engines jax; give these"):
        results.kept(file, other)


def test_what_is_in_the_file_of_results_is_shown_and_not_measured(tmp_path, capsys):
    case = CASES["adapter"]
    peer = Measurement(case.title, "float32", 2, "torch", (4e-3,), None, 2_000_000, None, 1e10)
    program = dataclasses.replace(peer, entrant="torch program", times=(3e-3,))
    file, page = tmp_path / "results.jsonl", tmp_path / "page.md"
    options = arguments([])
    settings = Settings(tuple(options.engines), options.rounds)
    results.keep(file, settings, [peer, program, Note(f"{case.title}, float32, 2 threads", is_done=True)])
    page.write_text(f"{BEGIN}\n{END}\n")
    words = ["--cases", "adapter", "--dtypes", "float32", "--threads", "2"]
    main([*words, "--results", str(file), "--readme", str(page)])
    assert "0.75" in capsys.readouterr().out
    assert "| adapter, rank 8, 128×1024 | float32 | 2 | 4.000 | 0.75 |" in page.read_text()


@pytest.mark.parametrize(
    ("option", "file", "said"),
    [
        ("--results", "", "is no file in a folder that is there"),
        ("--markdown", "none/page.md", "is no file in a folder that is there"),
        ("--readme", "page.md", "there is no"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_is_measured(tmp_path, capsys, option, file, said):
    with pytest.raises(SystemExit):
        arguments([option, str(tmp_path / file)])
    assert said in capsys.readouterr().err


def test_a_page_without_marks_is_refused_before_anything_is_measured(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="has no lines"):
        arguments(["--readme", str(page)])


def test_aims_that_are_reached_and_that_are_not():
    case = CASES["encoder-64-64-1"].title
    peer = Measurement(case, "float32", 2, "torch", (4e-3,), None, 1_000_000, None, 1e10)
    program = dataclasses.replace(peer, entrant="torch program", times=(3e-3,), peak=1_500_000)
    slower = [dataclasses.replace(row, dtype="float64") for row in (peer, dataclasses.replace(program, times=(12e-3,)))]
    depths = [Depth("gpt2", 1, 4e-3, 5e-3, "9", 1e-3), Depth("gpt2", 96, 5e-3, 6e-3, "92 digits", 8e-2, 7e-2)]
    _, header, cells = aims([peer, program, *slower], depths)
    assert [dict(zip(header, row, strict=True))["reached"] for row in cells] == ["1 of 2", "0 of 2", "1 of 1", "0 of 1"]
    assert cells[0] == ["torch program", "torch", "time", "all", "1", "1.50", "3.00", "1 of 2", "1"]
    assert cells[2] == ["derive and compile 96 layers", "", "ms", "GPT-2", "100", "11", "11", "1 of 1", "0"]
    assert missed([peer, program, *slower])[2] == [
        ["torch program", "torch", "time", case, "float64", "2", "1", "3.00", "3.00–3.00"],
        ["torch program", "torch", "memory", case, "float32", "2", "1", "1.50", ""],
        ["torch program", "torch", "memory", case, "float64", "2", "1", "1.50", ""],
    ]


def test_what_is_above_in_the_median_and_not_by_all_of_its_interval_is_not_clearly_missed():
    case = CASES["encoder-64-64-1"].title
    peer = Measurement(case, "float32", 2, "torch", (1.0,) * 11, None, None, None, 1e10)
    program = dataclasses.replace(peer, entrant="torch program", times=(0.1, 0.2, 0.9, *(1.2,) * 6, 1.3, 5.0))
    _, header, (row,) = aims([peer, program], [])
    assert dict(zip(header, row, strict=True)).items() >= {"reached": "0 of 1", "clearly missed": "0"}.items()
    assert missed([peer, program])[2][0][-2:] == ["1.20", "0.90–1.20"]


def test_tables_in_a_page_stand_between_their_marks():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between_marks(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert between_marks(between_marks(page, "new"), "old") == between_marks(page, "old")
    with pytest.raises(SystemExit, match="has no lines"):
        between_marks("a page without marks", "new")


def test_the_readme_has_a_place_for_the_tables():
    readme = Path(__file__).parents[2] / "README.md"
    assert "new" in between_marks(readme.read_text(encoding="utf-8"), "new")
