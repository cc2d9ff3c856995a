"""`pytest -p tests.meta.faults.plugin --fault NAME` runs everything on a torch with one fault."""

import pytest

from tests.meta.faults.catalogue import CONTROL, FAULTS


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
