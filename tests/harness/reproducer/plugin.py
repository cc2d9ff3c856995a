"""Each deviation gets its script and its page, in place of tracebacks; `-v` shows these as well."""

import functools
import inspect
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis.control import current_build_context
from hypothesis.strategies import DataObject

from tests.harness.examples import surround
from tests.harness.plugin import TARGETS
from tests.harness.reproducer.entrances import recording
from tests.harness.reproducer.file import write, write_ahead
from tests.harness.reproducer.message import instead_of_traceback, message, rerun_command
from tests.harness.reproducer.recorder import Recorder
from tests.harness.reproducer.replay import script_from, script_of
from tests.harness.reproducer.script import Script
from tests.harness.verdict import Deviation

SCRIPTS: dict[BaseException, Script | str] = {}
"""Of the failures of the test that is running, or why there are none."""
NOT_RUN_AGAIN = "it was not run once more"


def folder_of(config: pytest.Config) -> Path:
    """Where scripts are written."""
    written = config.getoption("--report") or config.rootpath / config.getini("reproducers")
    return Path(written)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("reproducers", "where scripts are written without --report", default=".backproof")
    parser.getgroup("backproof").addoption(
        "--write-ahead",
        metavar="FILE",
        type=Path,
        help="write down each call of torch, with what it needs, before it is made",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if path := config.getoption("--write-ahead"):
        surround(items, functools.partial(written_ahead, path))
    else:
        surround(items, replayed)


def written_ahead(path: Path, test: Callable[..., Any]) -> Callable[..., Any]:
    """A test whose every call of torch is written down before it is made."""

    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]  # without its stage
        with recording(Recorder(functools.partial(write_ahead, path, name))):
            return test(*args, **kwargs)

    return example


def replayed(test: Callable[..., Any]) -> Callable[..., Any]:
    """A test that is run once more, on a tape, where its smallest example fails.

    What draws as it goes, as a history of rules does, cannot be given the same again: it is on a
    tape the last time that Hypothesis runs it.
    """

    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        draws = any(isinstance(x, DataObject) for x in (*args, *kwargs.values()))
        recorder = Recorder() if draws and current_build_context().is_final else None
        try:
            with recording(recorder) if recorder else nullcontext():
                return test(*args, **kwargs)
        except (Exception, pytest.fail.Exception) as error:
            if current_build_context().is_final:
                again = functools.partial(test, *args, **kwargs)
                on_tape = recorder and script_from(recorder.tape, error)
                SCRIPTS[error] = on_tape or script_of(again)
            raise

    return example


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """The same for tests that draw nothing."""
    path = pyfuncitem.config.getoption("--write-ahead")
    ahead = path and not hasattr(pyfuncitem.obj, "hypothesis")
    noted = functools.partial(write_ahead, path, pyfuncitem.nodeid)
    try:
        with recording(Recorder(noted)) if ahead else nullcontext():
            return (yield)
    except (Deviation, pytest.fail.Exception) as failure:
        if not hasattr(pyfuncitem.obj, "hypothesis"):
            wanted = inspect.signature(pyfuncitem.obj).parameters
            given = {name: pyfuncitem.funcargs[name] for name in wanted}
            SCRIPTS[failure] = script_of(lambda: pyfuncitem.obj(**given))
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is None or not report.failed:
        return report
    pages = []
    rerun = rerun_command(item.config, item.nodeid)
    for error in failures(call.excinfo.value):
        path, script = None, SCRIPTS.pop(error, NOT_RUN_AGAIN)
        told = script if isinstance(script, str) else script.lines()
        if isinstance(script, Script):
            path = write(folder_of(item.config), title(error, item), script)
            report.user_properties.append(("reproducer", str(path)))
        elif not isinstance(error, Deviation):
            report.sections.append(("no script", f"{told}\nagain: {rerun}"))
            continue
        devices = item.config.stash[TARGETS].devices
        pages.append(message(error, told, shown(path), rerun, devices))
    if item.config.get_verbosity() > 0:
        report.sections += [("deviation", page) for page in pages]
    elif pages:
        report.longrepr = instead_of_traceback("\n\n".join(pages))
        report.sections.clear()  # what torch has logged meanwhile
    return report


def failures(error: BaseException) -> Iterator[BaseException]:
    """One, or the several that Hypothesis found."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from failures(inner)
    elif isinstance(error, Deviation) or error in SCRIPTS:
        yield error


def title(error: BaseException, item: pytest.Item) -> str:
    """What a deviation says first; of any other failure, in which test it was."""
    first = str(error).partition("\n")[0]
    return first if isinstance(error, Deviation) else f"{item.name} ends in {first}"


def shown(path: Path | None) -> Path | None:
    """Relative to where the command was given, if it is below."""
    if path is None or not path.is_relative_to(Path.cwd()):
        return path
    return path.relative_to(Path.cwd())
