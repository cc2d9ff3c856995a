"""Runs of the properties that measure, and what a run finds in 99 of 100 tries."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.meta.faults.runs import REPOSITORY
from tests.meta.sensitivity.measure import JUDGES, TOLERANCES
from tests.meta.sensitivity.plugin import INPUTS
from tests.meta.verified import DRAWN, VERIFIED

Row = tuple[str, str, str]  # component, output, dtype

FOUND_IN = 0.99
TRIES = 1000


@dataclass
class Sensitivity:
    """All that was measured of one row, on one kind of inputs."""

    least: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    alarms: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))
    # Of each test, the examples of all its runs; of each, the smallest error that it shows.
    examples: dict[str, dict[int, dict[str, float]]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(
        self, test: str, example: int, least: dict[str, float], alarms: dict[str, bool]
    ) -> None:
        before = self.examples[test].setdefault(example, dict.fromkeys(JUDGES, math.inf))
        for judge, k in least.items():
            self.least[judge].append(k)
            before[judge] = min(before[judge], k)
        for judge, alarm in alarms.items():
            self.alarms[judge] += alarm

    @property
    def cases(self) -> int:
        return len(self.least["bound"])

    def case(self, judge: str) -> float:
        """The smallest error, in ulp, that is found in half of the single comparisons."""
        return sorted(self.least[judge])[(self.cases - 1) // 2]

    def run(self, judge: str, runs: int) -> float:
        """The smallest error, in ulp, of which 99 of 100 runs show at least one example.

        A try is a run put together: of each test as many of its examples as one run has, drawn
        from those of all runs. It finds what the most telling of its examples tells.
        """
        random = np.random.default_rng(0)
        tries = np.full(TRIES, np.inf)
        for examples in self.examples.values():
            ks = np.array([least[judge] for least in examples.values()])
            drawn = random.integers(len(ks), size=(TRIES, max(1, round(len(ks) / runs))))
            tries = np.minimum(tries, ks[drawn].min(axis=1))
        return float(np.sort(tries)[math.ceil(FOUND_IN * TRIES) - 1])


@dataclass
class Study:
    """All that was measured, by kind of inputs and row."""

    runs: int
    found: dict[str, dict[Row, Sensitivity]]
    rows: list[Row]  # of the matrix, also those of which nothing could be measured
    commits: list[str]

    @property
    def unmeasured(self) -> Iterator[tuple[str, str]]:
        """Outputs without any nonzero element that is right, in any dtype."""
        measured = {row[:2] for rows in self.found.values() for row in rows}
        yield from dict.fromkeys(row[:2] for row in self.rows if row[:2] not in measured)


def study(runs: int, others: list[str], log: Path | None = None) -> Study:
    """Run pytest so many times on each kind of inputs, on all processors.

    A folder `log` keeps what each run has measured; those that it has already are not run again.
    """
    kinds = [(inputs, seed) for seed in range(runs) for inputs in INPUTS]
    found: dict[str, dict[Row, Sensitivity]] = {inputs: {} for inputs in INPUTS}
    rows: dict[Row, None] = {}
    commits: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        folder = log or Path(scratch)
        for number, ((inputs, seed), seen) in enumerate(
            zip(
                kinds,
                pool.map(lambda kind: one_run(kind[0], kind[1], others, folder), kinds),
                strict=True,
            )
        ):
            print(f"run {number + 1} of {len(kinds)}: {inputs}", file=sys.stderr)
            rows |= dict.fromkeys(map(tuple, seen["rows"]))
            commits[seen["commit"]] = None
            for *row, test, example, measured in seen["found"]:
                if measured:
                    sensitivity = found[inputs].setdefault(tuple(row), Sensitivity())
                    sensitivity.add(test, (seed << 32) + example, *measured)
    return Study(runs, found, list(rows), list(commits))


def one_run(inputs: str, seed: int, others: list[str], folder: Path) -> dict[str, Any]:
    file = folder / f"{inputs}-{seed}.json"
    if not file.exists():
        chosen = VERIFIED if (inputs, seed) == ("drawn", 0) else DRAWN
        if any(Path(x).exists() for x in others):
            chosen = []
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-p", "tests.meta.sensitivity.plugin", "--inputs", inputs, "--found", str(file)),
                *("-k", "not numpy_alone", "--hypothesis-seed", str(seed), *chosen, *others),
            ],
            check=False,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        # With nothing but integers, some tests of the inputs themselves fail.
        accepted = {pytest.ExitCode.OK, *([pytest.ExitCode.TESTS_FAILED] * (inputs != "drawn"))}
        if done.returncode not in accepted:
            raise SystemExit(done.stdout + done.stderr)
    return json.loads(file.read_text("utf-8"))
