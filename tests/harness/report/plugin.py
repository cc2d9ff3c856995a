"""`--report DIR`: the run as DIR/report.json and DIR/report.html, whatever ended it."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.plugin import STARTED, TARGETS, blind, outdated
from tests.harness.record import RECORD
from tests.harness.report.data import report as report_of
from tests.harness.report.files import write
from tests.harness.verdict import Deviation

FAILURES: list[dict[str, Any]] = []
DEVIATION = f"{Deviation.__module__}.{Deviation.__qualname__}"


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
        message = (message or report.longreprtext).removeprefix(f"{DEVIATION}: ")
        given = (Path(str(value)) for name, value in report.user_properties if name == "reproducer")
        scripts = [path for path in given if path.is_file()]
        FAILURES.append(failure(report.nodeid, message, report.longreprtext, scripts))


def failure(test: str, message: str, text: str, scripts: Iterable[Path] = ()) -> dict[str, Any]:
    reproducers = [{"file": path.name, "script": path.read_text("utf-8")} for path in scripts]
    return {"test": test, "message": message, "text": text, "reproducers": reproducers}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    folder = config.getoption("--report")
    if folder is None or hasattr(config, "workerinput"):
        return
    seed = config.getoption("--hypothesis-seed")
    run = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile": config.getoption("--hypothesis-profile") or "default",
        "seed": None if seed is None else str(seed),
        "arguments": list(config.invocation_params.args),
        "seconds": round(time.monotonic() - config.stash[STARTED], 1),
        "exit_status": int(session.exitstatus),
    }
    FAILURES.extend(failure("the run as a whole", line, line) for line in (*blind(), *outdated()))
    data = report_of(RECORD, run, FAILURES, config.stash[TARGETS].devices)
    config.stash[WRITTEN] = write(folder, data)


WRITTEN = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if written := config.stash.get(WRITTEN, None):
        terminalreporter.write_line(f"report: {written}")
