"""`--device meta`: dtypes, shapes and strides are foretold, and a wrong one is found."""

from collections.abc import Iterator

import pytest
import torch

from tests.harness import without_data
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.verdict import Deviation, check
from tests.harness.without_data import Layouts, skipped_where_it_looks_at_data, strides
from tests.meta.faults.runs import Runs, open_runs

KEY = ("linear", "output", "float32", "functional")


def layouts(result: torch.Tensor) -> Layouts:
    kept = Layouts()
    kept.wanted = True
    kept.keep(KEY, result)
    return kept


def test_strides_are_those_of_the_cpu_or_a_deviation() -> None:
    x = torch.ones(2, 3)
    assert layouts(x).compare(KEY, x.to("meta")) == ""
    wrong = layouts(x).compare(KEY, torch.ones(3, 2, device="meta").t())
    assert wrong == "has strides (1, 2), and (3, 1) on the CPU"


def test_where_torch_promises_no_strides_none_are_asked() -> None:
    free, kept = (*KEY[:3], "vjp"), layouts(torch.ones(2, 3))
    kept.keep(free, torch.ones(2, 3))
    assert kept.compare(free, torch.ones(3, 2, device="meta").t()) == ""


def test_each_result_is_compared_once_and_none_is_left_over() -> None:
    kept, x = layouts(torch.ones(2)), torch.ones(2, device="meta")
    assert kept.compare(KEY, x) == ""
    assert kept.compare(KEY, x) == "has no counterpart on the CPU"
    kept.keep(KEY, x)
    kept.begin()
    assert kept.compare(KEY, x) == "has no counterpart on the CPU"
    idle = Layouts()
    idle.keep(KEY, x)
    assert not idle.of_cpu


def test_dimensions_of_one_have_no_strides() -> None:
    assert strides(torch.ones(2, 1, 3).as_strided((2, 1, 3), (3, 77, 1))) == (3, 1)
    assert strides(torch.ones(0, 3)) == ()


def test_a_check_on_meta_holds_layout_against_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.harness.verdict.LAYOUTS", layouts(torch.ones(2, 3)))
    target = Target("meta", "float32", "functional")
    want = Rounding.kernel("float32").array([[1.0] * 3] * 2)
    check("linear", "output", target, torch.ones(2, 3, device="meta"), want)
    with pytest.raises(Deviation, match="on meta float32 functional has no counterpart"):
        check("linear", "output", target, torch.ones(2, 3, device="meta"), want)


def test_what_looks_at_data_is_skipped_and_what_fails_fails() -> None:
    def looks(device: str) -> None:
        torch.ones(1, device=device).item()
        raise RuntimeError("wrong")

    example = skipped_where_it_looks_at_data(looks)
    with pytest.raises(pytest.skip.Exception, match="not without data: "):
        example("meta")
    with pytest.raises(RuntimeError, match="wrong"):
        example("cpu")


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


def test_a_run_says_that_numbers_were_not_compared(runs: Runs) -> None:
    run = runs("tests/layers/test_linear.py", "--device", "meta", "--hypothesis-profile", "quick")
    assert run.exit_code == pytest.ExitCode.OK, run.output
    assert "linear on cpu (" in run.output
    assert "linear on meta, without data (" in run.output
    assert f"not verified: {without_data.NOTE}" in run.output
