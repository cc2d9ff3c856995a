"""`pytest -p tests.meta.faults.plugin --fault NAME` runs everything on a torch with one fault."""

import functools
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.errors import UnsatisfiedAssumption

from tests.harness.examples import surround
from tests.harness.profiles import EXAMPLES
from tests.meta.faults.catalogue import FAULTS
from tests.meta.faults.control import CONTROL

for name in EXAMPLES:  # where it matters whether a fault is found, and not how small
    settings.register_profile(
        f"{name}-unshrunk", settings.get_profile(name), phases=[Phase.explicit, Phase.generate]
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("backproof").addoption(
        "--fault", metavar="NAME", help=f"put a fault into torch: control, {', '.join(FAULTS)}"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--fault")
    if name is None:
        return
    fault = {"control": CONTROL, **FAULTS}.get(name)
    if fault is None:
        known = ", ".join(("control", *FAULTS))
        raise pytest.UsageError(f"--fault {name}: no such fault; choose from {known}")
    patch = pytest.MonkeyPatch()
    fault.inject(patch)
    config.add_cleanup(patch.undo)


def pytest_report_header(config: pytest.Config) -> str | None:
    name = config.getoption("--fault")
    return f"torch has a fault: {name}" if name else None


FOUND: list[str] = []  # the first failure of a property
STARTED: list[float] = []  # the examples of the property that is running


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Count the examples of each property until one fails; those of its shrinking do not count."""
    if config.getoption("--fault") is not None:
        surround(items, counted)


def pytest_runtest_setup() -> None:
    STARTED.clear()


def counted(test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        STARTED.append(time.monotonic())
        try:
            return test(*args, **kwargs)
        except UnsatisfiedAssumption:
            raise
        except Exception:
            if not FOUND:
                seconds = time.monotonic() - STARTED[0]
                FOUND.append(f"found in example {len(STARTED)}, after {seconds:.1f} s")
            raise

    return example


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in FOUND:
        terminalreporter.write_line(line)
