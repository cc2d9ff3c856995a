"""The command line of a run: what is asked for, checked at once, and what is said at the end."""

import os
import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness import switches, without_data
from tests.harness.deviations import LedgerError, ledger
from tests.harness.devices import compared_across_devices, missing_device
from tests.harness.examples import surround
from tests.harness.formats import FORMATS
from tests.harness.preflight import restrict_wrong_kernels
from tests.harness.propagation.elementary import Promised
from tests.harness.record import RECORD, note
from tests.harness.report.terminal import closing, matrix, properties
from tests.harness.schedule import NUMBER
from tests.harness.targets import Targets

VACUOUS_LIMIT = 0.5
"""The share of elements whose bound may say nothing, averaged over a cell's examples; a cell
beyond it has gone blind, and fails the run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backproof")
    group.addoption(
        "--device",
        action="append",
        metavar="DEVICE",
        help="a torch device to verify, such as cpu, cuda or cuda:1; repeatable (default: cpu)",
    )
    group.addoption(
        "--dtype",
        action="append",
        metavar="DTYPE",
        help=f"a dtype to verify: {', '.join(FORMATS)}; repeatable (default: all)",
    )
    group.addoption(
        "--switch",
        action="append",
        default=[],
        metavar="NAME=SETTING",
        help=f"a switch of torch, for the whole run: {', '.join(switches.settable())}; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse at once what cannot be done; never drop it in silence."""
    devices = tuple(dict.fromkeys(config.getoption("--device") or ["cpu"]))
    devices = without_data.prepared(config, devices)
    dtypes = tuple(dict.fromkeys(config.getoption("--dtype") or FORMATS))
    for dtype in dtypes:
        if dtype not in FORMATS:
            raise pytest.UsageError(
                f"--dtype {dtype}: not verified here; choose from {', '.join(FORMATS)}"
            )
    for device in devices:
        if reason := missing_device(device):
            raise pytest.UsageError(
                f"--device {device}: torch {torch.__version__} cannot use it here ({reason});"
                " install what it needs, or drop the option"
            )
    before = switches.state()

    def undo() -> None:
        switches.restore(before)
        Promised.by({"cpu"})

    config.add_cleanup(undo)
    try:
        ledger()
        for text in config.getoption("--switch"):
            switches.set_as_asked(text)
    except (LedgerError, switches.SwitchError) as error:
        raise pytest.UsageError(str(error)) from None
    Promised.by({torch.device(device).type for device in devices})
    config.stash[TARGETS] = Targets(devices, dtypes)
    config.stash[STARTED] = time.monotonic()
    if not hasattr(config, "workerinput"):
        if config.getoption("numprocesses", None):
            # Workers share the cores; each one's libraries would otherwise take all of them.
            for library in ("OMP", "OPENBLAS", "MKL"):
                os.environ.setdefault(f"{library}_NUM_THREADS", "1")
        if restriction := restrict_wrong_kernels():
            note(restriction)
        for text in left_out(devices, dtypes):
            note(text)


TARGETS = pytest.StashKey[Targets]()
STARTED = pytest.StashKey[float]()
BEFORE = pytest.StashKey[dict[str, Any]]()  # how the switches stood


def left_out(devices: tuple[str, ...], dtypes: tuple[str, ...]) -> Iterator[str]:
    if "meta" in devices:
        yield without_data.NOTE
    if not any(torch.device(device).type == "cuda" for device in devices):
        here = torch.cuda.is_available()
        yield "CUDA (ask for it with --device cuda)" if here else "CUDA (there is none here)"
    if missing := [dtype for dtype in FORMATS if dtype not in dtypes]:
        yield f"{', '.join(missing)} (not asked for)"


def pytest_report_header(config: pytest.Config) -> str:
    profile = config.getoption("--hypothesis-profile") or "default"
    return (
        f"verifying torch {torch.__version__} (NumPy {np.__version__}) on"
        f" {', '.join(config.stash[TARGETS].devices)}, profile {profile}"
    )


@pytest.fixture(scope="session")
def targets(request: pytest.FixtureRequest) -> Targets:
    """The devices and dtypes of this run."""
    return request.config.stash[TARGETS]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with RECORD.apart():
        RECORD.test = item.stash[NUMBER]
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[BEFORE] = switches.state()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A test that leaves a switch of torch changed fails, and the next one does not suffer."""
    result = yield
    if changed := switches.restore(item.stash[BEFORE]):
        pytest.fail(f"the test left changed: {', '.join(changed)}", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Give a test's last report what the test has seen: rows for JUnit, all for other processes.

    Workers of pytest-xdist so hand over each test by itself; one that crashes loses no other.
    """
    report = yield
    if call.when == "teardown":
        report.user_properties += properties(RECORD)
        report.record = RECORD.dump()
    return report


def pytest_runtest_logreport(report: Any) -> None:
    if hasattr(report, "record") and hasattr(report, "node"):  # from a worker
        RECORD.merge(report.record)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "meta" in config.stash[TARGETS].devices:
        without_data.wrap(items)
    if len(config.stash[TARGETS].devices) > 1:
        with_targets = (item for item in items if "targets" in getattr(item, "fixturenames", ()))
        surround(with_targets, compared_across_devices)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not RECORD.tallies:
        return
    terminalreporter.section("verdict matrix")
    for line in matrix(RECORD, by_path=config.get_verbosity() > 0):
        terminalreporter.write_line(line, red="DEVIATES" in line, yellow=" known" in line)
    terminalreporter.write_line("")
    for line in closing(RECORD, time.monotonic() - config.stash[STARTED]):
        terminalreporter.write_line(line)
    for line in (*blind(), *outdated()):
        terminalreporter.write_line(line, red=True)


def blind() -> Iterator[str]:
    """Cells in which the bound said nothing about too many elements, in enough examples to tell."""
    for (row, dtype), tally in RECORD.tallies.items():
        if tally.examples >= 100 and tally.vacuous > VACUOUS_LIMIT * tally.examples:
            share = 100 * tally.vacuous / tally.examples
            yield f"blind: {' '.join(row)} {dtype}: the bound says nothing in {share:.0f} %"


def outdated() -> Iterator[str]:
    """Entries of the ledger of which nothing deviates any more: neither here nor by themselves."""
    for known in ledger():
        agree, deviate = RECORD.ledger.get(known.id, (0, 0))
        if agree and not deviate and (verdict := known.replayed[0]) != "deviates":
            yield (
                f"outdated: [{known.id}] of tests/deviations/ledger.toml covered {agree}"
                f" comparisons, none deviates, and {known.reproducer} {verdict}: delete or narrow"
            )


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    if (any(blind()) or any(outdated())) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
