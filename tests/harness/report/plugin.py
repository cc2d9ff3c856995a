"""`--report DIR`: the run as DIR/report.json and DIR/report.html, whatever ended it."""

import json
import time
from pathlib import Path

import pytest

from tests.harness.plugin import STARTED, TARGETS
from tests.harness.record import RECORD
from tests.harness.report.data import report

FAILURES: list[dict[str, str]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("backproof").addoption(
        "--report",
        metavar="DIR",
        type=Path,
        help="write report.json and report.html into this folder",
    )


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--report")
    if folder is None or hasattr(config, "workerinput"):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--report {folder}: cannot be made ({error.strerror})") from None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        message = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
        FAILURES.append({"test": report.nodeid, "message": message, "text": report.longreprtext})


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    folder = config.getoption("--report")
    if folder is None or hasattr(config, "workerinput"):
        return
    seed = config.getoption("--hypothesis-seed")
    run = {
        "profile": config.getoption("--hypothesis-profile") or "default",
        "seed": None if seed is None else str(seed),
        "arguments": list(config.invocation_params.args),
        "seconds": round(time.monotonic() - config.stash[STARTED], 1),
        "exit_status": int(session.exitstatus),
    }
    data = report(RECORD, run, FAILURES, config.stash[TARGETS].devices)
    (folder / "report.json").write_text(json.dumps(data, indent=1, allow_nan=False), "utf-8")
    try:
        from tests.harness.report.page import page
    except ImportError as error:
        RECORD.note(f"report.html was not drawn ({error.name} is not installed)")
    else:
        (folder / "report.html").write_text(page(data), "utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if folder := terminalreporter.config.getoption("--report"):
        written = " and ".join(sorted(str(path) for path in folder.glob("report.*")))
        terminalreporter.write_line(f"report: {written}")
