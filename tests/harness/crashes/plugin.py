"""Keeps the journal of a run and its watchdog; asks where a worker of pytest-xdist died."""

import os
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.harness.crashes import watchdog
from tests.harness.crashes.journal import Journal
from tests.harness.crashes.search import search
from tests.harness.plugin import TARGETS
from tests.harness.report.plugin import FAILURES, WRITTEN
from tests.harness.reproducer.message import instead_of_traceback
from tests.harness.reproducer.plugin import folder_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("backproof").addoption(
        "--only", metavar="NODEID", help="of all tests that are collected, run this one"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-seed") is None:  # so that any test can be run again
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))
    if config.getoption("--only"):  # the reports of the run that died are not this one's to write
        config.option.report = config.option.xmlpath = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if only := config.getoption("--only"):
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid != only])
        items[:] = [item for item in items if item.nodeid == only]


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    again = config.getoption("--only") or config.getoption("--collect-only")
    if not (hasattr(config, "workerinput") or again):
        config.pluginmanager.register(Watched(config))


class Watched:
    """A run with a journal, and a process that waits for its end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.failures = config, 0
        self.run: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "profile": config.getoption("--hypothesis-profile") or "default",
            "seed": str(config.getoption("--hypothesis-seed")),
            "arguments": list(config.invocation_params.args),
            "began": time.time(),
            "folder": str(folder_of(config).absolute()),
            "cwd": str(config.invocation_params.dir),
            "devices": list(config.stash[TARGETS].devices),
            "report": config.getoption("--report") is not None,
        }
        self.journal = Journal(folder_of(config) / f"run-{os.getpid()}.jsonl", self.run)
        self.watchdog = subprocess.Popen(
            [sys.executable, "-S", watchdog.__file__, str(self.journal.path.absolute())],
            stdin=subprocess.PIPE,
            cwd=config.rootpath,
            start_new_session=True,  # where no Ctrl-C arrives
        )

    def is_reported(self) -> bool:
        """Whether the report is written, all of it, if one is wanted."""
        return not self.run["report"] or WRITTEN in self.config.stash

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.journal.write(begins=nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        for failure in FAILURES[self.failures :]:
            self.journal.write(failure=failure)
        self.failures = len(FAILURES)
        if report.when == "teardown":
            self.journal.write(ends=report.nodeid, record=report.record)

    def pytest_keyboard_interrupt(self) -> None:
        self.journal.write(interrupted=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        found = search(crashitem, self.run, alone=False)
        report.longrepr = instead_of_traceback(found.page(crashitem))
        if found.script:
            report.user_properties.append(("reproducer", str(found.script)))

    def pytest_unconfigure(self) -> None:
        if self.is_reported():
            self.journal.remove()
        else:  # a second Ctrl-C came while the report was written: the watchdog does it
            self.journal.file.close()
        self.watchdog.communicate()
