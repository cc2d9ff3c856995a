"""The switches of torch: set as asked, recorded, restored, and watched."""

import timeit
from collections.abc import Iterator

import pytest
import torch

from tests.harness import switches
from tests.harness.switches import SWITCHES, SwitchError, set_as_asked, shown, switched
from tests.meta.faults.runs import Runs, open_runs

SETTABLE = [
    (name, setting) for name in switches.settable() for setting in SWITCHES[name].settings[:4]
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with switched({}):
        yield


@pytest.mark.parametrize(("name", "setting"), SETTABLE, ids=str)
def test_a_switch_is_set_as_asked_and_set_back(name: str, setting: object) -> None:
    before = switches.state()
    with switched({}):
        set_as_asked(f"{name}={shown(setting)}")
        assert SWITCHES[name].read() == setting
    assert switches.state() == before


@pytest.mark.parametrize(("name", "setting"), SETTABLE, ids=str)
def test_a_script_sets_a_switch_as_it_was(name: str, setting: object) -> None:
    with switched({name: setting}):
        wanted = switches.state()
        lines = switches.source(switches.changed())
    with switched({}):
        exec("\n".join(["import torch", *lines]))
        assert switches.state() == wanted


def test_what_was_changed_is_told_once() -> None:
    before = switches.state()
    torch.set_num_threads(before["threads"] + 1)
    told = switches.restore(before)
    assert told == [f"threads from {before['threads']} to {before['threads'] + 1}"]
    assert switches.restore(before) == []


def test_newer_switches_hide_the_older_one() -> None:
    with switched({"mkldnn.matmul.fp32_precision": "bf16", "cuda.matmul.fp32_precision": "ieee"}):
        assert switches.state()["float32_matmul_precision"] == "see fp32_precision"
    assert switches.state()["float32_matmul_precision"] == "highest"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=high", r"no such switch; choose from .*threads.*flush_denormal"),
        ("grad_enabled=off", "no such switch"),
        ("mkldnn", "mkldnn can be on, off"),
        ("cuda.matmul.fp32_precision=bf16", "can be none, ieee, tf32"),
    ],
)
def test_what_cannot_be_set_is_refused(text: str, message: str) -> None:
    with pytest.raises(SwitchError, match=rf"^--switch {text}: .*{message}"):
        set_as_asked(text)


def test_a_switch_that_does_not_move_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_flush_denormal", lambda setting: False)
    stuck = switches.Switch(lambda: False, lambda setting: None, (True, False))
    monkeypatch.setitem(SWITCHES, "flush_denormal", stuck)
    with pytest.raises(SwitchError, match="flush_denormal=on: torch stays at off here"):
        set_as_asked("flush_denormal=on")


def test_a_mode_is_watched_and_not_set() -> None:
    with pytest.raises(TypeError, match="a mode of torch"):
        SWITCHES["autocast"].write(True)


def test_watching_takes_microseconds() -> None:
    assert min(timeit.repeat(switches.state, number=100, repeat=5)) / 100 < 200e-6


# Whole runs


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


def test_a_test_that_leaves_a_switch_changed_fails(runs: Runs) -> None:
    run = runs("tests/meta/careless.py")
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, run.output
    left = "the test left changed: threads from 1 to 3, default_dtype from torch.float32 to torch.f"
    assert left in run.output, run.output
    assert "the test left changed: default_dtype from torch.float64" in run.output, run.output
    assert "2 passed, 2 errors" in run.output


def test_with_subnormal_numbers_flushed_the_bounds_admit_that_and_no_more(runs: Runs) -> None:
    names = ("layers/test_linear", "losses/test_mse_loss", "losses/test_cross_entropy")
    files = [f"tests/{name}.py" for name in names]
    asked = ("--switch", "flush_denormal=on", "--hypothesis-profile", "quick")
    run = runs(*files, "-k", "equal_the_reference", *asked)
    assert run.exit_code == pytest.ExitCode.OK, run.output


def test_an_unknown_switch_is_refused_in_one_line(runs: Runs) -> None:
    run = runs("tests/meta/careless.py", "--switch", "gremlins=on")
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert run.errors[0].startswith("ERROR: --switch gremlins=on: no such switch; choose from ")
