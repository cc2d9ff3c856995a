"""A run tells what it verifies and what not; it fails where a bound has gone blind."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.harness import plugin
from tests.harness.formats import FORMATS
from tests.harness.record import Record, Tally
from tests.harness.targets import Targets

ROW = ("cpu", "linear", "functional", "output")


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """What this run has seen: of its ledger nothing."""
    record = Record()
    monkeypatch.setattr(plugin, "RECORD", record)
    return record


@pytest.mark.parametrize(
    ("examples", "vacuous", "blind"),
    [
        (100, 51.0, True),
        (100, 50.0, False),  # just half of it
        (99, 99.0, False),  # too few to tell
        (1000, 1000.0, True),
    ],
)
def test_a_bound_that_mostly_says_nothing_fails_the_run(
    record: Record, examples: int, vacuous: float, blind: bool
) -> None:
    record.tallies[ROW, "float32"] = Tally(examples, vacuous=vacuous)
    written = []
    reporter = SimpleNamespace(
        section=lambda title: None,
        write_line=lambda line, red=False, yellow=False: written.append((line, red)),
    )
    stash = {plugin.STARTED: 0.0}
    config: Any = SimpleNamespace(stash=stash, get_verbosity=lambda: 0)
    plugin.pytest_terminal_summary(reporter, config)
    told = "blind: cpu linear functional output float32: the bound says nothing in "
    share = round(100 * vacuous / examples)
    assert [line for line, red in written if red] == blind * [f"{told}{share} %"]
    session: Any = SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)
    plugin.pytest_sessionfinish(session)
    failed = pytest.ExitCode.TESTS_FAILED
    assert session.exitstatus == (failed if blind else pytest.ExitCode.OK)


def test_what_is_left_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    every = tuple(FORMATS)
    assert not list(plugin.left_out(("cuda:1", "cpu"), every))
    assert list(plugin.left_out(("cuda",), every[1:])) == [f"{every[0]} (not asked for)"]
    for here, told in ((True, "ask for it with --device cuda"), (False, "there is none here")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        assert list(plugin.left_out(("cpu",), every)) == [f"CUDA ({told})"]


def test_the_header_says_what_is_verified() -> None:
    for profile, named in ((None, "default"), ("soak", "soak")):
        stash = {plugin.TARGETS: Targets(("cpu", "cuda:1"))}
        config: Any = SimpleNamespace(stash=stash, getoption=lambda name, profile=profile: profile)
        header = plugin.pytest_report_header(config)
        assert header.startswith(f"verifying torch {torch.__version__} (NumPy ")
        assert header.endswith(f") on cpu, cuda:1, profile {named}")


def test_kernels_that_are_kept_from_running_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(plugin, "restrict_wrong_kernels", lambda: "kernels for AMX: they crash")
    monkeypatch.setattr(plugin, "note", told.append)
    options: dict[str, Any] = {"--switch": []}
    config: Any = SimpleNamespace(
        getoption=lambda name, default=None: options.get(name, default),
        add_cleanup=lambda undo: None,
        stash={},
    )
    plugin.pytest_configure(config)
    assert told[0] == "kernels for AMX: they crash"
