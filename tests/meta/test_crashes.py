"""A run that dies is reported all the same, and the call that killed it is found."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.crashes.aftermath import main
from tests.harness.crashes.journal import Journal, Legacy
from tests.harness.crashes.search import Found
from tests.harness.record import Record, Tally
from tests.meta.faults.runs import forking, pytest_main, run

ROW = ("cpu", "linear", "functional", "output")
TEST = "tests/layers/test_softplus.py::test_softplus_and_its_gradient_equal_the_reference"


def ran(tmp_path: Path, *options: str) -> tuple[int, str]:
    """A run of two files, in the second of which a call of torch kills the process."""
    given = ["tests/clipping/test_clip_grad_value.py", TEST, "--dtype", "float32", *options]
    given += ["-p", "tests.meta.killer", "--hypothesis-profile", "quick", "--hypothesis-seed", "1"]
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


def test_nothing_is_run_again_where_no_test_was_running(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "run.jsonl", {"report": False})
    journal.file.close()  # as the end of the process does
    main(journal.path)
    assert "pytest died in between two tests" in capfd.readouterr().err


def test_a_page_without_a_script_is_one_line() -> None:
    assert Found("does not end in 900 s").page("test") == "test does not end in 900 s"
