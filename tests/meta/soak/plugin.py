"""`pytest -p tests.meta.soak.plugin`: torch as a round wants it, and the memory that it took."""

import json
import os
import resource
import sys
from itertools import pairwise

import pytest
import torch

PEAKS: list[float] = []  # MiB: when everything is imported, and after each test
TESTS: list[str] = []


def peak() -> float:
    """The most memory that this process has had at once, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("backproof").addoption(
        "--without-onednn", action="store_true", help="torch's own kernels in place of oneDNN's"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-onednn"):
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]


def pytest_collection_finish() -> None:
    PEAKS[:] = [peak()]


def pytest_runtest_logfinish(nodeid: str) -> None:
    if PEAKS:  # none where pytest-xdist leaves the tests to its workers
        PEAKS.append(peak())
        TESTS.append(nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("--report")
    if folder and TESTS:
        grown = [after - before for before, after in pairwise(PEAKS)]
        text = json.dumps([PEAKS[0], peak(), TESTS[grown.index(max(grown))]])
        (folder / f"memory-{os.getpid()}.json").write_text(text, "utf-8")
