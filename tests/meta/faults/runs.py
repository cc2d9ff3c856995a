"""Whole runs of pytest, and of scripts, each in a process of its own, and quickly.

Importing torch takes longer than most of these runs. So one server process imports it, once, and
forks a fresh process for each run; where the system cannot fork, each run imports it again.
"""

import gc
import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    exit_code: int
    output: str  # standard output and error

    @property
    def errors(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("ERROR: ")]


class Runs:
    """Starts runs, as many at a time as there are processors."""

    def __init__(self, pool: ProcessPoolExecutor, scratch: Path) -> None:
        self.pool, self.scratch, self.count = pool, scratch, 0

    def start(self, *args: str) -> "Future[Run]":
        return self.submit(pytest_main, *args)

    def script(self, path: Path, fault: str = "") -> "Future[Run]":
        """A script that does nothing to the world, and ends with an exit status of its own."""
        return self.submit(script_main, str(path), fault)

    def submit(self, main: Callable[..., int], *args: str) -> "Future[Run]":
        self.count += 1
        return self.pool.submit(run, main, args, str(self.scratch / f"run{self.count}"))

    def __call__(self, *args: str) -> Run:
        return self.start(*args).result()


def forking() -> Any:
    """Where processes come from."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["tests.meta.faults.preloaded"])
    return context


@contextmanager
def open_runs() -> Iterator[Runs]:
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(os.cpu_count(), forking(), max_tasks_per_child=1) as pool,
    ):
        yield Runs(pool, Path(scratch))
        pool.shutdown(cancel_futures=True)


def run(main: Callable[..., int], args: tuple[str, ...], folder: str) -> Run:
    """Do it in this process, which does nothing else before or after."""
    os.chdir(REPOSITORY)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{folder}/hypothesis"
    for name in ("CI", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "COLUMNS", "BACKPROOF_MNIST_ROOT"):
        os.environ.pop(name, None)
    Path(folder).mkdir()
    output = Path(folder) / "output"
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115

    import torch

    gc.freeze()  # pytest collects garbage when it ends: not among all that was imported
    torch.set_num_threads(1)
    exit_code = main(*args)
    sys.stdout.flush()
    sys.stderr.flush()
    return Run(exit_code, output.read_text())


def pytest_main(*args: str) -> int:
    import pytest

    # pytest would rewrite the assertions of a plugin, but Hypothesis is there already.
    quiet = ("-W", "ignore:Module already imported so cannot be rewritten")
    return int(pytest.main([*quiet, "-p", "no:cacheprovider", "-q", *args]))


def script_main(path: str, fault: str) -> int:
    if fault:
        import pytest

        from tests.meta.faults.catalogue import FAULTS

        FAULTS[fault].inject(pytest.MonkeyPatch())
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as exit_:
        return int(exit_.code or 0)
    except Exception:
        traceback.print_exc()
        return 1
    return 0
