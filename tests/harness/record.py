"""What a run has seen: a tally for each cell of the matrix, and what it could not verify."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """What one cell of the matrix has seen."""

    examples: int = 0
    elements: int = 0
    vacuous: float = 0.0  # the share of vacuous elements, summed over examples
    worst_share: float = 0.0  # of the bound
    worst_ulp: float = 0.0
    deviations: int = 0
    known: int = 0  # comparisons that deviate as the ledger says
    shares: list[int] = field(default_factory=lambda: [0] * 10)  # comparisons by tenth of bound
    test: float = math.inf  # the number of the first test that fed it, for the order of the rows

    def add(self, other: Tally) -> None:
        self.examples += other.examples
        self.elements += other.elements
        self.vacuous += other.vacuous
        self.worst_share = max(self.worst_share, other.worst_share)
        self.worst_ulp = max(self.worst_ulp, other.worst_ulp)
        self.deviations += other.deviations
        self.known += other.known
        self.shares = [a + b for a, b in zip(self.shares, other.shares, strict=True)]
        self.test = min(self.test, other.test)


@dataclass(frozen=True)
class Benchmark:
    """How long one thing took, by one side, at one size."""

    group: str
    side: str
    size: int
    seconds: float


Row = tuple[str, str, str, str]  # device, component, path, output


@dataclass
class Record:
    """All that a run has seen: tallies by row and dtype, and what it could not verify."""

    tallies: dict[tuple[Row, str], Tally] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ledger: dict[str, tuple[int, int]] = field(default_factory=dict)  # by id: (agree, deviate)
    curves: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    """By run, panel and line; the last number of each line stands at the end of the run."""
    benchmarks: list[Benchmark] = field(default_factory=list)
    test: float = math.inf  # the number of the test that is running

    def tally(self, row: Row, dtype: str) -> Tally:
        if (row, dtype) not in self.tallies:
            self.tallies[row, dtype] = Tally(test=self.test)
        return self.tallies[row, dtype]

    def dump(self) -> dict[str, Any]:
        """As lists and Python's own numbers, to be sent from a worker process."""
        tallies = [[row, dtype, asdict(t)] for (row, dtype), t in self.tallies.items()]
        kept: dict[str, Any] = {"notes": self.notes, "ledger": self.ledger, "curves": self.curves}
        kept["benchmarks"] = [asdict(benchmark) for benchmark in self.benchmarks]
        dump: dict[str, Any] = json.loads(json.dumps({"tallies": tallies} | kept))
        return dump

    def merge(self, dump: dict[str, Any]) -> None:
        tallies = {(tuple(row), dtype): Tally(**tally) for row, dtype, tally in dump["tallies"]}
        benchmarks = [Benchmark(**benchmark) for benchmark in dump["benchmarks"]]
        self.add(Record(**dump | {"tallies": tallies, "benchmarks": benchmarks}))

    def add(self, other: Record) -> None:
        for (row, dtype), tally in other.tallies.items():
            self.tally(row, dtype).add(tally)
        for text in other.notes:
            self.note(text)
        for known, (agree, deviate) in other.ledger.items():
            self.replayed(known, agree, deviate)
        self.curves |= other.curves
        self.benchmarks += other.benchmarks

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What comes meanwhile is counted by itself, and added to the rest at the end."""
        rest = dict(vars(self))
        vars(self).update(vars(Record()))
        try:
            yield
        finally:
            own = Record(**vars(self))
            vars(self).update(rest)
            self.add(own)

    def replayed(self, known: str, agree: int, deviate: int) -> None:
        before = self.ledger.get(known, (0, 0))
        self.ledger[known] = (before[0] + agree, before[1] + deviate)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


RECORD = Record()


def note(text: str) -> None:
    """Have the run say at its end what it did not verify, or verified otherwise than asked."""
    RECORD.note(text)
