"""Where pytest finds the command line of a run: the profiles, the claims, the harness, MNIST."""

import gc
from importlib.util import find_spec

gc.disable()  # while torch is imported, for nothing of it is garbage

pytest_plugins = ["tests.harness.profiles", "tests.claims.plugin"]
if find_spec("torch"):  # without it, the references can still be proved
    pytest_plugins += ["tests.harness.schedule", "tests.harness.plugin"]
    pytest_plugins += ["tests.harness.report.plugin", "tests.harness.reproducer.plugin"]
    pytest_plugins += ["tests.harness.crashes.plugin"]
    pytest_plugins += ["tests.training.plugin"]


def pytest_sessionstart() -> None:
    """What has been imported stays: it is not searched for garbage again and again."""
    gc.freeze()
    gc.enable()
