"""Link 4 of the chain of trust: the suite finds the faults that are put into torch.

Each fault is there: its witness, a direct call, tells. And a few of them are found: those that are
required, and of each component one, another each day, in the profile `ci`, which repeats itself.
Of the required, a few are shrunk, others each day: that takes ten times as long as finding them.
Each has a script, which fails where the fault is, and passes where it is not.
`tox run -e faults` puts in all of them; here, `--hypothesis-profile thorough` does, and sees that
each is told as it should be, by a small example.
"""

import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.meta.faults import table
from tests.meta.faults.catalogue import FAULTS, KINDS, PLACES, Fault, Witness
from tests.meta.faults.control import CONTROL
from tests.meta.faults.files import LEFT_OUT, files
from tests.meta.faults.runs import Runs, open_runs
from tests.meta.faults.table import Verdict
from tests.meta.faults.witnesses import seen

A_DAY = 3  # where required ones are
SHRUNK_A_DAY = 3  # of the required
CONTROLLED_A_DAY = 10
ALLOWED = {"torch", "base64", "contextlib", "copy", "io", "zlib"}  # for a script to import
OF_MANY_TENSORS = {"uniform", "normal", "trunc_normal"}  # where those drawn are small: 64 of them
DAY = os.environ.get("BACKPROOF_DAY", "")  # see conftest.py
ONE_TENSOR = "where this torch has one tensor, a sound one has two: a script cannot name them"
WITHOUT_SCRIPT = {
    "normal-spread-of-single-precision": "two calls disagree, and neither is wrong by itself",
    "sgd-buffer-found-by-its-shape": ONE_TENSOR,
    "sgd-buffer-aliases-the-gradient": ONE_TENSOR,
}
AGAIN = f"BACKPROOF_DAY={DAY} draws this fault again\n"

# That they are there


def with_fault(inject: Callable[[pytest.MonkeyPatch], None], witness: Witness) -> str:
    with pytest.MonkeyPatch.context() as patch:
        inject(patch)
        return seen(witness)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_what_its_witness_sees_and_the_control_does_not(name: str) -> None:
    fault = FAULTS[name]
    ordinary = PLACES[fault.component].witness
    witness = fault.witness or ordinary
    sound = seen(witness)
    assert with_fault(fault.inject, witness) != sound
    assert with_fault(CONTROL.inject, witness) == sound
    if fault.witness:  # else it needs none of its own
        assert with_fault(fault.inject, ordinary) == seen(ordinary)


def test_there_are_many_of_every_kind_and_some_of_every_place() -> None:
    assert len(FAULTS) >= 150
    kinds = Counter(fault.kind for fault in FAULTS.values())
    assert min(kinds[kind] for kind in KINDS) >= 10, kinds
    assert {fault.component for fault in FAULTS.values()} == set(PLACES)


@pytest.mark.skipif(not table.PAGE.exists(), reason="python -m tests.meta.faults --write makes it")
def test_the_tables_are_of_this_catalogue() -> None:
    """FAULTS.md and the short form in the README: `--seeds 1,2,3 --write` makes them anew."""
    page = table.PAGE.read_text("utf-8")
    listed = re.findall(r"^\| ([\w-]+) \| (\w*) \| [-\d, ]+ \|", page, re.MULTILINE)
    assert dict(listed) == {fault.name: fault.kind for fault in (CONTROL, *FAULTS.values())}
    short = table.SHORT_FORM.search(table.README.read_text("utf-8"))
    assert short
    counts = re.findall(r"^\| (\w+) \|.*\| (\d+) of (\d+) \|", short[0], re.MULTILINE)
    kinds = Counter(fault.kind for fault in FAULTS.values())
    every = {kind: str(n) for kind, n in [*kinds.items(), ("all", len(FAULTS))]}
    assert {kind: n for kind, _, n in counts} == every
    assert all(found == n for _, found, n in counts)


def test_what_survives_one_seed_is_not_found_and_the_control_is_no_fault() -> None:
    first, second, *_ = (fault for fault in FAULTS.values() if fault.kind == "corner")
    rows: table.Rows = {
        CONTROL: [Verdict(CONTROL, 1, "", 1, 0.0), Verdict(CONTROL, 2, "", 1, 0.0)],
        first: [Verdict(first, 1, "test_it", 3, 0.1), Verdict(first, 2, "test_it", 5, 0.2)],
        second: [Verdict(second, 1, "test_it", 9, 0.1), Verdict(second, 2, "", 1, 9.9)],
    }
    assert table.cells(first, rows[first])[2:] == ["3, 5", "0.2", "test_it"]
    assert table.cells(second, rows[second])[4] == "test_it; SURVIVES with seed 2"
    assert table.cells(CONTROL, rows[CONTROL])[4] == "nothing"
    corner, every = table.totals(rows)
    assert corner == ["corner", KINDS["corner"], "1 of 2", "5", "9"]
    assert every == ["all", "", "1 of 2", "5", "9"]


# That they are found


def components() -> dict[str, list[Fault]]:
    """The faults that the same file of tests must find."""
    found: dict[str, list[Fault]] = {}
    for fault in FAULTS.values():
        found.setdefault(files(fault.component)[0], []).append(fault)
    return found


def of_the_day(day: str) -> list[str]:
    """One of each component, others each day; a few of all those of which one is required."""
    chance, always = random.Random(day), []
    names = []
    for faults in components().values():
        if any(fault.required for fault in faults):
            always += [fault.name for fault in faults if not fault.required]
        else:
            names.append(chance.choice(faults).name)
    return names + chance.sample(always, A_DAY)


def shrunk(thorough: bool) -> list[str]:
    """The required faults whose smallest example is looked for."""
    every = [fault.name for fault in FAULTS.values() if fault.required]
    return every if thorough else random.Random(DAY).sample(every, SHRUNK_A_DAY)


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


def arguments(fault: Fault, thorough: bool) -> list[str]:
    """Which tests are to find it, and in which profile."""
    if fault is not CONTROL:
        if thorough and not fault.required:
            profile = ["thorough", "--hypothesis-seed", "1"]
        else:
            profile = ["ci" if fault.name in shrunk(thorough) else "ci-unshrunk"]
        return [*files(fault.component), "--hypothesis-profile", *profile]
    places = files(fault.component)
    if not thorough:  # where some of the faults of the day are
        some = random.Random(DAY).sample(of_the_day(DAY), CONTROLLED_A_DAY)
        parts = (FAULTS[name].component for name in some)
        places = sorted({file for part in parts for file in files(part)} | {*LEFT_OUT})
    return [*places, "--hypothesis-profile", "quick", "--hypothesis-seed", "1"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        required = [fault.name for fault in FAULTS.values() if fault.required]
        thorough = metafunc.config.getoption("--hypothesis-profile") == "thorough"
        names = FAULTS if thorough else [*required, *of_the_day(DAY)]
        metafunc.parametrize("fault", [CONTROL.name, *names])


def elements(output: str) -> list[int]:
    """The sizes of the arrays in the falsifying example, and how many modules and hooks it has."""
    shapes = re.findall(r"in shape \(([\d, ]*)\)", output)
    counts = re.findall(r"of (\d+) modules|(?:before|after|features)=(\d+)", output)
    sizes = [math.prod(int(side) for side in re.findall(r"\d+", shape)) for shape in shapes]
    return sizes + [int(a or b) for a, b in counts]


def test_a_fault_is_found(
    runs: Runs, fault: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    expected = FAULTS.get(fault, CONTROL)
    thorough = request.config.getoption("--hypothesis-profile") == "thorough"
    run = runs(
        *arguments(expected, thorough),
        *("-p", "tests.meta.faults.plugin", "--fault", fault),
        *(*expected.dtypes, "-x", "-o", f"reproducers={tmp_path}"),
    )
    if expected is CONTROL:
        assert run.exit_code == pytest.ExitCode.OK, run.output
        return
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, f"{AGAIN}{run.output}"
    small = thorough or fault in shrunk(thorough)
    if small:
        assert re.search(expected.found, run.output), run.output
        sizes = elements(run.output)
        assert sizes, run.output
        assert max(sizes) <= expected.elements, run.output
    written = list(tmp_path.glob("*.py"))
    assert written or fault in WITHOUT_SCRIPT, f"{AGAIN}{run.output}"
    for script in written:
        prove(runs, fault, script, small)


def prove(runs: Runs, fault: str, script: Path, small: bool) -> None:
    """It fails where the fault is, and only there.

    A fault that remembers what was called before does not show in every few calls.
    """
    text = script.read_text("utf-8")
    faulty, sound = runs.script(script, fault), runs.script(script)
    assert sound.result().exit_code == 0, f"{AGAIN}{sound.result().output}\n{text}"
    if FAULTS[fault].kind != "state":
        assert faulty.result().exit_code == 1, f"{AGAIN}{faulty.result().output}\n{text}"
    if small:
        lines = 220 if FAULTS[fault].component in OF_MANY_TENSORS else 60
        assert text.count("\n") < lines, text
        assert set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) <= ALLOWED, text


def test_each_component_has_faults_that_have_scripts() -> None:
    for file, faults in components().items():
        assert any(fault.name not in WITHOUT_SCRIPT for fault in faults), file


def test_other_days_draw_other_faults() -> None:
    days = [tuple(of_the_day(f"2026-11-{day:02}")) for day in range(1, 31)]
    assert of_the_day("2026-11-01") == list(days[0])
    assert len({name for names in days for name in names}) >= len(FAULTS) * 3 // 4
