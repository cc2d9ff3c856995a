"""How small an error is found, measured: the measure itself, and what is made of it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.harness.formats import FLOAT32, FORMATS, Format
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.meta.faults.runs import open_runs
from tests.meta.sensitivity.measure import TOLERANCES, Measured, measure, moved, smallest
from tests.meta.sensitivity.plugin import INPUTS
from tests.meta.sensitivity.runs import Sensitivity, Study, study
from tests.meta.sensitivity.table import HEADS, page, rows, ulps

MAX = FLOAT32.max


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
def test_an_ulp_is_to_the_next_number(fmt: Format) -> None:
    ulp = 2.0 ** (1 - fmt.precision)
    assert [moved(1.0, k * ulp, fmt) for k in (1, -1, 2)] == [1 + ulp, 1 - ulp, 1 + 2 * ulp]
    assert moved(fmt.max, fmt.max, fmt) == fmt.max
    assert moved(1.0, 1.75 * ulp, fmt) == 1 + 2 * ulp


@pytest.mark.parametrize("least", [1, 2, 3, 37, 4096, 10**6])
def test_bisection_finds_the_smallest(least: int) -> None:
    assert smallest(lambda k: k >= least, 2**24) == least


def test_what_is_never_noticed_is_infinite() -> None:
    assert math.isinf(smallest(lambda k: False, 2**24))


def measured(got: float, value: float, error: float, exact: bool = False) -> Measured | None:
    expected = Rounded(Rounding.kernel("float32"), np.array([value]), error)
    return measure(np.array([got]), expected, FLOAT32, exact, np.random.default_rng(0))


def test_a_result_within_half_an_ulp_is_noticed_from_1_on_and_anything_never() -> None:
    x = float(np.float32(0.1))
    for error, least in ((2.0**-28, 1), (0.0, 1), (np.inf, math.inf)):  # half an ulp is 2^-28
        found = measured(x, x, error)
        assert found is not None
        assert found.least["bound"] == least
        assert found.least["allclose"] == 136  # above (1e-5 0.1 + 1e-8) / 2^-27 = 135.6
        assert found.alarms == {"allclose": False, "assert_close": False}


def test_what_is_wrong_or_zero_or_infinite_is_not_measured_nor_what_is_rounded_as_exact() -> None:
    for got, value, error, exact in (
        (1.0, 2.0, 0.5, False),
        (0.0, 0.0, 0.0, False),
        (np.inf, np.inf, 0.0, False),
        (1.0, 1.0, 0.5, True),
    ):
        assert measured(got, value, error, exact) is None


def test_sound_results_that_tolerances_call_wrong_are_alarms() -> None:
    found = measured(1.0001, 1.0, 0.5)
    assert found is not None
    assert found.alarms == {"allclose": True, "assert_close": True}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("x", [1e-7, 0.015625, 1.0, 1.9990234375, 300.0])
def test_tolerances_are_those_of_torch(dtype: str, x: float) -> None:
    """From the smallest number on that is told from x, torch tells it."""
    fmt = FORMATS[dtype]
    want = torch.tensor(x, dtype=getattr(torch, dtype))
    start, ulp = want.double().item(), float(fmt.ulp(np.asarray(want.double().item())))
    for judge, tolerances in TOLERANCES.items():
        rtol, atol = tolerances[dtype]
        allowed = atol + rtol * abs(start)
        least = smallest(lambda k: moved(start, k * ulp, fmt) - start > allowed, 2**60)  # noqa: B023
        # torch subtracts in the dtype, which may cost the last bit of a half type's tolerance.
        for k, right in ((0.98 * least - 1, True), (1.02 * least + 1, False)):
            wrong = torch.tensor(moved(start, max(k, 0) * ulp, fmt), dtype=want.dtype)
            assert accepts(judge, wrong, want) is right, (judge, k)


def accepts(judge: str, actual: torch.Tensor, expected: torch.Tensor) -> bool:
    if judge == "allclose":
        return torch.allclose(actual, expected)
    try:
        torch.testing.assert_close(actual, expected)
    except AssertionError:
        return False
    return True


def found_in(*examples: list[float]) -> Sensitivity:
    """One test; what is noticed in the comparisons of its examples."""
    sensitivity = Sensitivity()
    for number, ks in enumerate(examples):
        for k in ks:
            least = dict.fromkeys(("bound", *TOLERANCES), k)
            sensitivity.add("test", number, least, dict.fromkeys(TOLERANCES, False))
    return sensitivity


def test_a_run_finds_what_the_most_telling_of_its_examples_tells() -> None:
    every = found_in(*([[7.0, 3.0]] * 50))
    assert (every.run("bound", runs=1), every.case("bound")) == (3, 3)
    # One example in 50 that tells is missed by 36 of 100 runs of 50, by 0.2 of 100 runs of 300.
    rarely = found_in(*([[99.0]] * 49), [1.0])
    assert rarely.run("bound", runs=1) == 99
    assert found_in(*([[99.0]] * 294), *([[1.0]] * 6)).run("bound", runs=1) == 1
    assert math.isinf(found_in([math.inf]).run("bound", runs=1))


def test_the_page_has_every_row() -> None:
    row = ("linear", "output", "float32")
    found = {inputs: {row: found_in([k])} for inputs, k in (("drawn", 1), ("general", 37))}
    unmeasured = ("uniform", "numbers", "float32")
    text = page(
        Study(1, found | {"exact": {}}, [row, unmeasured], ["abc1234"]), "the command", None
    )
    cells = ["linear: output", "float32", "2", "1 / 1", *3 * ["37 / 37"], *3 * [""], "0", "0"]
    assert f"| {' | '.join(cells)} |" in text
    assert f"| {' | '.join(HEADS)} |" in text
    assert "uniform: numbers." in text
    assert "at commit abc1234, with" in text


@pytest.mark.parametrize(
    ("k", "text"), [(1, "1"), (9999, "9999"), (4.5e10, "4.5e10"), (math.inf, "never")]
)
def test_ulps_are_short(k: float, text: str) -> None:
    assert ulps(k) == text


def test_of_relu_every_error_is_found_at_once(tmp_path: Path) -> None:
    """The plugin, in runs that are kept and then read as those of a study."""
    # Of six examples drawn afresh, none may find anything.
    words = (
        "tests/layers/test_relu.py --hypothesis-profile quick --hypothesis-seed 1 --dtype float32"
    )
    with open_runs() as runs:
        started = [
            runs.start(
                "-p",
                "tests.meta.sensitivity.plugin",
                "--inputs",
                inputs,
                "--found",
                found,
                *words.split(),
            )
            for inputs, found in ((i, str(tmp_path / f"{i}-0.json")) for i in INPUTS)
        ]
        assert [future.result().exit_code for future in started] == [0, 0, 0]
    kept = json.loads((tmp_path / "drawn-0.json").read_text("utf-8"))
    assert len({(test, example) for *_, test, example, _ in kept["found"]}) >= 6
    table = {line[:2]: line[3:] for line in rows(study(1, [], tmp_path))}
    for row in ("relu: output", "relu: grad_input"):
        drawn, general, _, _, exact, *_ = table[row, "float32"]
        assert (drawn, general, exact) == ("1 / 1",) * 3
