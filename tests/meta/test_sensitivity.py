"""How small an error is found, measured: the measure itself."""

import math
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch

from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.meta import sensitivity
from tests.meta.faults.runs import REPOSITORY
from tests.meta.sensitivity import Row, measure, moved, smallest

MAX = np.finfo(np.float32).max
ROW: Row = ("sum", "output")


@pytest.mark.parametrize("x", [1.0, -1.0, 0.0, 2.0**-149, -(2.0**-149), 3e38])
def test_an_ulp_is_to_the_next_number(x: float) -> None:
    start = np.float32(x)
    assert moved(start, 1) == np.nextafter(start, np.float32(np.inf))
    assert moved(start, -1) == np.nextafter(start, np.float32(-np.inf))
    assert moved(moved(start, 1000), -1000) == start


def test_the_largest_number_is_not_passed() -> None:
    assert (moved(MAX, 5), moved(np.float32(1.0), 2**31), moved(-MAX, -5)) == (MAX, MAX, -MAX)


@pytest.mark.parametrize("least", [1, 2, 3, 37, 4096, 10**6])
def test_bisection_finds_the_smallest(least: int) -> None:
    assert smallest(lambda k: k >= least) == least


def test_what_is_never_noticed_is_infinite() -> None:
    assert math.isinf(smallest(lambda k: False))


def test_a_result_within_half_an_ulp_is_noticed_from_1_on_and_anything_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: dict[Row, list[dict[str, float]]] = defaultdict(list)
    monkeypatch.setattr(sensitivity, "FOUND", found)
    kernel = Rounding.kernel("float32")
    measure(ROW, torch.tensor([0.1]), Rounded(kernel, np.array([0.1]), 2.0**-28), exact=False)
    measure(ROW, torch.tensor([0.1]), Rounded(kernel, np.array([0.1]), np.inf), exact=False)
    first, second = (ks["backproof"] for ks in found[ROW])
    assert (first, second) == (1, math.inf)  # of 0.1 half an ulp is 2^-28
    assert found[ROW][0]["allclose"] == 136  # above (1e-5 0.1 + 1e-8) / 2^-27 = 135.6


def test_the_command_prints_a_row_for_each_output() -> None:
    words = ["tests/layers/test_relu.py", "--hypothesis-profile", "quick"]
    run = subprocess.run(
        [sys.executable, "-m", "tests.meta.sensitivity", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    table = [line.strip("| ").split(" | ") for line in run.stdout.splitlines()[2:]]
    found = {(cells[0], cells[1]): cells[3] for cells in table}
    for row in ("relu output", "relu grad_input"):
        for inputs in ("general", "exact"):
            assert found[row, inputs] == "1, 1", run.stdout
