"""A run that dies is reported all the same, and the call that killed it is found."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from tests.harness.crashes import plugin
from tests.harness.crashes.aftermath import main
from tests.harness.crashes.journal import Journal, Legacy
from tests.harness.crashes.plugin import Watched
from tests.harness.crashes.search import Found, search
from tests.harness.record import Record, Tally
from tests.harness.report.plugin import WRITTEN
from tests.meta.faults.runs import forking, pytest_main, run

ROW = ("cpu", "linear", "functional", "output")
TEST = "tests/layers/test_softplus.py::test_softplus_and_its_gradient_equal_the_reference"


def ran(tmp_path: Path, *options: str) -> tuple[int, str]:
    """A run of two files, in the second of which a call of torch kills the process."""
    given = ["tests/clipping/test_clip_grad_value.py", TEST, "--dtype", "float32", *options]
    given += ["-p", "tests.meta.killer", "--hypothesis-profile", "quick", "--hypothesis-seed", "3"]
    given += ["--report", str(tmp_path / "report")]
    process = forking().Process(target=run, args=(pytest_main, given, str(tmp_path / "run")))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, (tmp_path / "run" / "output").read_text("utf-8")


def test_the_call_that_kills_a_run_is_found_after_it(tmp_path: Path) -> None:
    exit_code, _ = ran(tmp_path)
    assert exit_code == -signal.SIGSEGV
    output = until_told(tmp_path / "run" / "output")
    page = f"{TEST} kills the process (SIGSEGV) with its last call"
    assert page in output
    data = report_of(tmp_path)
    assert [failure["message"] for failure in data["failures"]] == [page]
    assert {row["component"] for row in data["rows"]} >= {"clip_grad_value"}
    (script,) = (tmp_path / "report").glob("crash-*.py")
    assert f"script  python {script}" in output
    assert script.read_text("utf-8").rstrip().splitlines()[-1].startswith("F.softplus(")
    assert not list((tmp_path / "report").glob("*.jsonl"))


def test_a_worker_that_dies_loses_nothing_but_its_test(tmp_path: Path) -> None:
    exit_code, output = ran(tmp_path, "-n", "1", "--max-worker-restart", "0")
    assert exit_code == 0  # of the process; pytest's own is in the report
    page = f"{TEST} kills the process (SIGSEGV) with its last call"
    assert page in output
    data = report_of(tmp_path)
    (script,) = (tmp_path / "report").glob("crash-*.py")
    (failure,) = data["failures"]
    assert failure["test"] == TEST
    assert page in failure["message"]
    assert failure["reproducers"] == [{"file": script.name, "script": script.read_text("utf-8")}]
    assert {row["component"] for row in data["rows"]} >= {"clip_grad_value"}


def report_of(tmp_path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    return data


def until_told(output: Path) -> str:
    """What a run has printed, and then its aftermath, which ends after it."""
    begun = time.monotonic()
    while "\nreport: " not in output.read_text("utf-8"):
        assert time.monotonic() - begun < 300, output.read_text("utf-8")
        time.sleep(0.25)
    return output.read_text("utf-8")


# What a journal tells


def lines(journal: Journal) -> list[str]:
    return journal.path.read_text("utf-8").splitlines(keepends=True)


def test_a_journal_tells_what_was_seen_and_what_was_running(tmp_path: Path) -> None:
    record = Record()
    record.tally(ROW, "float32").add(Tally(3, 30))
    journal = Journal(tmp_path / "new" / "run.jsonl", {"seed": "1"})
    for test in ("a", "b", "c"):
        journal.write(begins=test)
    journal.write(failure={"test": "a"})
    journal.write(ends="a", record=record.dump())
    journal.write(ends="c", record=record.dump())
    legacy = Legacy.of([*lines(journal), '{"ends": "b", "rec'])  # cut off by a full disk
    assert legacy.run == {"seed": "1"}
    assert legacy.running == ["b"]
    assert legacy.failures == [{"test": "a"}]
    assert legacy.record.tallies[ROW, "float32"] == Tally(6, 60)
    journal.remove()
    assert not list(journal.path.parent.iterdir())


@pytest.mark.parametrize("written", [False, True])
def test_a_journal_stays_until_the_report_is_written(tmp_path: Path, written: bool) -> None:
    """Which a second Ctrl-C may have interrupted."""
    watched = object.__new__(Watched)
    config: Any = SimpleNamespace(stash={WRITTEN: "both files"} if written else {})
    watched.config = config
    watched.run = {"report": True}
    watched.journal = Journal(tmp_path / "run.jsonl", watched.run)
    watched.watchdog = Mock()
    watched.pytest_unconfigure()
    assert watched.journal.path.exists() != written


def test_nothing_is_run_again_where_no_test_was_running(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "run.jsonl", {"report": False})
    journal.file.close()  # as the end of the process does
    main(journal.path)
    assert "pytest died in between two tests" in capfd.readouterr().err


def test_nothing_is_run_again_where_the_user_has_ended_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = {"report": True, "folder": str(tmp_path), "devices": ["cpu"], "began": 0.0}
    run |= {"date": "today", "profile": "quick", "seed": "1", "arguments": []}
    journal = Journal(tmp_path / "run.jsonl", run)
    watched = object.__new__(Watched)
    watched.journal = journal
    watched.pytest_runtest_logstart("test_it")
    watched.pytest_keyboard_interrupt()
    journal.file.close()
    main(journal.path)
    assert "pytest died" not in capfd.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["run"]["exit_status"] == 2
    assert (tmp_path / "report.html").is_file()


# What comes of the search


def died(command: Any, **options: Any) -> Any:
    return subprocess.CompletedProcess(command, -signal.SIGKILL)


def survived(command: Any, **options: Any) -> Any:
    return subprocess.CompletedProcess(command, 1)


def hung(command: Any, **options: Any) -> Any:
    raise subprocess.TimeoutExpired(command, options["timeout"])


ALONE = "was running when the process died, and does not kill it by itself"


@pytest.mark.parametrize(
    ("run", "writes", "ending", "left"),
    [
        (died, True, "kills the process (SIGKILL) with its last call", True),
        (died, False, ALONE, False),  # before it called anything
        (survived, True, ALONE, False),
        (hung, True, "does not end in 900 s", True),
        (hung, False, "does not end in 900 s", False),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_a_search_leaves_a_script_where_its_last_call_is_to_blame(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., Any],
    writes: bool,
    ending: str,
    left: bool,
    alone: bool,
) -> None:
    commands = []

    def one_run(command: list[str], **options: Any) -> Any:
        commands.append(command)
        if writes:
            Path(command[command.index("--write-ahead") + 1]).write_text("torch.ones(1)\n")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", one_run)
    legacy = {"folder": str(tmp_path), "seed": "7", "arguments": ["tests"], "cwd": "."}
    found = search("tests/test_it.py::test_it[a b]", legacy, alone)
    script = tmp_path / "crash-test_it-py-test_it-a-b.py"
    assert found == Found(ending, script if left else None)
    assert script.exists() == left
    assert found.page("test").splitlines()[0] == f"test {ending}"
    ((*_, seed),) = (command if alone else command[:-2] for command in commands)
    assert (seed, commands[0][-2:] == ["-n", "0"]) == ("7", not alone)


@pytest.mark.parametrize("script", [None, Path("crash.py")])
def test_what_a_worker_died_of_is_in_the_report_of_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Path | None
) -> None:
    monkeypatch.setattr(plugin, "search", lambda test, run, alone: Found(ALONE))
    if script:
        (tmp_path / script).write_text("torch.ones(1)")
        found = Found("kills the process", tmp_path / script)
        monkeypatch.setattr(plugin, "search", lambda test, run, alone: found)
    report: Any = SimpleNamespace(longrepr="", user_properties=[])
    watched: Any = SimpleNamespace(run={})
    plugin.Watched.pytest_handlecrashitem(watched, "test_it", report)
    assert str(report.longrepr).startswith(f"test_it {'kills the process' if script else ALONE}")
    kept = [("reproducer", str(tmp_path / script))] if script else []
    assert report.user_properties == kept


def test_a_search_runs_one_test_and_leaves_the_reports_alone() -> None:
    option = SimpleNamespace(report="report", xmlpath="junit.xml", hypothesis_seed="7")
    left_out: list[Any] = []

    def deselected(items: list[Any]) -> None:  # pytest calls its hooks by keyword
        left_out.extend(items)

    hook = SimpleNamespace(pytest_deselected=deselected)
    options = {"--hypothesis-seed": "7", "--only": "b"}
    config: Any = SimpleNamespace(getoption=options.get, option=option, hook=hook)
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in "abc"]
    plugin.pytest_configure(config)
    plugin.pytest_collection_modifyitems(config, items)
    assert (option.report, option.xmlpath, option.hypothesis_seed) == (None, None, "7")
    assert [item.nodeid for item in items] == ["b"]
    assert [item.nodeid for item in left_out] == ["a", "c"]


def test_a_run_without_a_seed_gets_one_that_can_be_given_again() -> None:
    config: Any = SimpleNamespace(getoption=lambda name: None, option=SimpleNamespace())
    seeds = set()
    for _ in range(3):
        plugin.pytest_configure(config)
        seeds.add(int(config.option.hypothesis_seed))
    assert len(seeds) == 3
