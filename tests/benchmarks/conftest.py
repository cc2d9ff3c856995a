"""A benchmark, timed by pytest-benchmark and kept for the report."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
import torch

from tests.benchmarks.table import ratios
from tests.harness.record import RECORD, Benchmark
from tests.harness.targets import Targets

Timed = Callable[..., None]


@pytest.fixture(autouse=True)
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is run again and again to be timed is not what a run has verified."""
    monkeypatch.setattr(RECORD, "tallies", {})
    monkeypatch.setattr(RECORD, "curves", {})


@pytest.fixture
def timed(benchmark: Any, targets: Targets) -> Timed:
    """Time a function on the first device of the run, until the device has done its work.

    `per` is how many things it does: the time of one of them is kept.
    """
    device = torch.get_device_module(targets.devices[0])

    def time(group: str, side: str, size: int, function: Callable[[], Any], per: int = 1) -> None:
        def finished() -> None:
            function()
            device.synchronize()

        benchmark.group = f"{group}, {size}"
        benchmark.extra_info.update(side=side, size=size, threads=torch.get_num_threads())
        start = perf_counter()
        finished()  # warm: the first call allocates, and chooses its kernels
        if perf_counter() - start < 1:
            benchmark(finished)
        else:  # three times will do, where it would be calibrated and called five times
            benchmark.pedantic(finished, rounds=3)
        if benchmark.stats:  # none with --benchmark-disable
            seconds = benchmark.stats.stats.median / per
            RECORD.benchmarks.append(Benchmark(group, side, size, seconds))

    return time


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what a reference costs beside torch, in the place of many columns of seconds."""
    if RECORD.benchmarks:
        terminalreporter.section("times, as multiples of torch's")
        for line in ratios(RECORD.benchmarks):
            terminalreporter.write_line(line)
