"""Scripts of what torch must refuse, or accept; and what becomes of a failure without a script."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.plugin import TARGETS
from tests.harness.reproducer import plugin
from tests.harness.reproducer.endings import Judging
from tests.harness.reproducer.file import write
from tests.harness.reproducer.message import rerun_command
from tests.harness.reproducer.pause import literal
from tests.harness.reproducer.replay import script_of
from tests.harness.reproducer.script import Script
from tests.harness.targets import Target, Targets
from tests.harness.verdict import ACCEPTED, REFUSED, Deviation, exactly
from tests.meta.test_reproducers import status

CPU = Target("cpu", "float32", "functional")


def wrong_sizes() -> torch.Tensor:
    return F.linear(literal(torch.ones)(2), literal(torch.ones)(3, 4))


def expects_an_error() -> None:
    with pytest.raises(RuntimeError):
        wrong_sizes()


def compares_refusals() -> None:
    try:
        wrong_sizes()
    except RuntimeError:
        return
    raise Deviation("linear: it accepts anything", right=REFUSED)


def compares_acceptances() -> None:
    try:
        F.linear(literal(torch.ones)(4), literal(torch.ones)(3, 4))
    except RuntimeError as error:
        raise Deviation("linear: it refuses", right=ACCEPTED) from error


def accepts(*args: Any) -> torch.Tensor:
    return torch.zeros(1)


def gives_a_number(*args: Any) -> int:
    return 7


def refuses(*args: Any) -> torch.Tensor:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        (expects_an_error, accepts),
        (expects_an_error, gives_a_number),
        (compares_refusals, accepts),
        (compares_acceptances, refuses),
    ],
)
def test_a_script_fails_where_torch_accepts_or_refuses_wrongly(
    tmp_path: Path, test: Callable[[], None], fault: Callable[..., Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "linear", fault)
        script = script_of(test)
        assert isinstance(script, Script), script
        path = write(tmp_path, "linear: refusals", script)
        assert status(path) == 1, path.read_text()
    assert status(path) == 0, path.read_text()


# Written down before it is made


@pytest.mark.parametrize("ahead", [True, False])
def test_a_property_that_may_kill_the_process_is_written_down_as_it_goes(
    tmp_path: Path, request: pytest.FixtureRequest, ahead: bool
) -> None:
    path, seen = tmp_path / "ahead.py", []

    def body() -> None:
        F.relu(literal(torch.ones)(2))
        seen.append(path.read_text().splitlines() if path.exists() else [])

    hypothesis = SimpleNamespace(inner_test=body)
    item: Any = SimpleNamespace(obj=SimpleNamespace(hypothesis=hypothesis))
    config: Any = SimpleNamespace(getoption=lambda name: path if ahead else None)
    plugin.pytest_collection_modifyitems(config, [item])
    hypothesis.inner_test()
    (lines,) = seen
    assert bool(lines) == ahead
    if ahead:
        assert lines[0].startswith(f'"""{request.node.nodeid}: the last of these calls kills')
        assert lines[-1].startswith("F.relu(")


def test_what_draws_as_it_goes_is_on_a_tape_when_it_is_run_last() -> None:
    """As a history of rules is, which could not be given the same steps again."""

    @settings(database=None, max_examples=5)
    @given(data=st.data())
    def body(data: st.DataObject) -> None:
        y = F.relu(literal(torch.ones)(data.draw(st.integers(1, 3))))
        assert y.sum() == -1

    hypothesis: Any = vars(body)["hypothesis"]
    hypothesis.inner_test = plugin.replayed(hypothesis.inner_test)
    with pytest.raises(AssertionError) as failure:
        body()
    script = plugin.SCRIPTS.pop(failure.value)
    assert isinstance(script, Script)
    assert script.lines()[-1] == "got = F.relu(input).sum() == -1"


# Without a script


def ended(steps: Any, *given: Any) -> Any:
    """What a hook that wraps others returns, when these have given something."""
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(*given)
    return end.value.value


def test_a_failure_without_a_script_says_why_and_how_to_see_it_again() -> None:
    def test() -> None:
        expects_an_error()

    item: Any = SimpleNamespace(obj=test, funcargs={}, nodeid="test_it.py::test_it")
    item.config = SimpleNamespace(getoption=lambda name: None, get_verbosity=lambda: 0)
    steps = plugin.pytest_pyfunc_call(item)
    next(steps)
    failure = pytest.fail.Exception("DID NOT RAISE; and when it is run once more, it does")
    with pytest.raises(pytest.fail.Exception):
        steps.throw(failure)
    call: Any = SimpleNamespace(excinfo=SimpleNamespace(value=failure))
    report = SimpleNamespace(failed=True, sections=[], longrepr="the traceback")
    assert ended(plugin.pytest_runtest_makereport(item, call), report) is report
    told = "run once more, the same case does not fail\nagain: pytest test_it.py::test_it"
    assert report.sections == [("no script", told)]
    assert report.longrepr == "the traceback"
    assert failure not in plugin.SCRIPTS


def test_what_torch_only_moved_was_wrong_before() -> None:
    def test() -> None:
        exactly("it", "output", CPU, literal(torch.ones)(2).clone().reshape(2, 1), [[1], [7]])

    assert script_of(test) == "what is wrong had left torch before it was compared"


def test_of_several_failures_each_deviation_is_told() -> None:
    first, second = Deviation("first"), Deviation("second")
    inner = ExceptionGroup("two", [ValueError("not of torch"), second])
    assert list(plugin.failures(ExceptionGroup("all", [first, inner]))) == [first, second]


@pytest.mark.parametrize("verbosity", [0, 1])
def test_a_page_takes_the_place_of_the_traceback_that_v_shows_as_well(verbosity: int) -> None:
    failure = Deviation("relu: output is wrong")
    item: Any = SimpleNamespace(name="test_it", nodeid="test_it.py::test_it")
    options = {"getoption": lambda name: None, "get_verbosity": lambda: verbosity}
    item.config = SimpleNamespace(**options, stash={TARGETS: Targets(("cpu",))})
    call: Any = SimpleNamespace(excinfo=SimpleNamespace(value=failure))
    report = SimpleNamespace(failed=True, sections=[("log", "")], longrepr="the traceback")
    ended(plugin.pytest_runtest_makereport(item, call), report)
    page = dict(report.sections)["deviation"] if verbosity else str(report.longrepr)
    assert page.startswith(f"relu: output is wrong\n\n  (no script: {plugin.NOT_RUN_AGAIN})")
    assert (report.longrepr == "the traceback") == (("log", "") in report.sections) == verbosity


@pytest.mark.parametrize("seed", [None, "0"])
def test_a_command_runs_the_same_test_again(seed: str | None) -> None:
    options = {"--device": ["cuda:1"], "--dtype": ["float16"], "--hypothesis-seed": seed}
    config: Any = SimpleNamespace(getoption=options.get)
    command = "pytest 'tests/test_it.py::test_it[a b]' --device cuda:1 --dtype float16"
    end = f" --hypothesis-seed {seed}" if seed else ""
    assert rerun_command(config, "tests/test_it.py::test_it[a b]") == command + end


def test_a_script_that_raises_is_not_one_whose_result_is_wrong() -> None:
    assert Judging("got", "got > 0").same(-1)
    assert not Judging("got", "got > 0").same(1)
    assert not Judging("got", "got > 0").same(RuntimeError("refused"))
