"""Rounds of a soak: whole runs of pytest, and what several of them come to."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness.formats import FORMATS
from tests.harness.record import Record, Tally
from tests.meta.faults.runs import REPOSITORY
from tests.meta.tables import commit
from tests.meta.verified import DRAWN

LIBRARIES = ("OMP", "MKL", "OPENBLAS")
COUNTED = tuple(field.name for field in fields(Tally) if field.name != "test")


class Memory(NamedTuple):
    """Of a process: its peak at its start and its end, in MiB, and the test that raised it most."""

    start: float
    end: float
    test: str


NO_MEMORY = Memory(0.0, 0.0, "")


@dataclass(frozen=True)
class Setting:
    """What the properties run on."""

    python: str = sys.executable
    threads: int = 1
    onednn: bool = True


@dataclass(frozen=True)
class Round:
    """One run of all properties."""

    setting: Setting
    seed: int
    report: dict[str, Any]
    memory: list[Memory]  # of each process
    commit: str

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, line: str) -> "Round":
        numbers = json.loads(line)
        read = {"setting": Setting(**numbers["setting"])}
        return cls(**numbers | read | {"memory": [Memory(*m) for m in numbers["memory"]]})

    @property
    def largest(self) -> "Memory":
        """The memory of the process that took most."""
        return max(self.memory, default=NO_MEMORY, key=lambda memory: memory.end)

    @property
    def alarms(self) -> list[str]:
        """What failed, and how to see it again."""
        failures = self.report["failures"]
        if not failures and self.report["run"]["exit_status"]:
            return [f"pytest ended with {self.report['run']['exit_status']}; seed {self.seed}"]
        return [
            f"{f['test']} --hypothesis-seed {self.seed}\n    {f['message'].splitlines()[0]}"
            for f in failures
        ]


def one_round(setting: Setting, seed: int, others: list[str]) -> Round:
    """Run pytest once, on all processors."""
    chosen = [] if any(Path(x).exists() for x in others) else DRAWN
    processes = (os.cpu_count() or 1) // setting.threads
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [
                *(setting.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-p", "tests.meta.soak.plugin", "--hypothesis-profile", "soak"),
                *([] if setting.onednn else ["--without-onednn"]),
                *(
                    "-n",
                    str(processes if processes > 1 else 0),
                    "--dist",
                    "worksteal",
                    "--report",
                    folder,
                ),
                *("--hypothesis-seed", str(seed), *chosen, *others),
            ],
            check=False,
            cwd=REPOSITORY,
            env=os.environ | {f"{name}_NUM_THREADS": str(setting.threads) for name in LIBRARIES},
            capture_output=True,
            text=True,
        )
        try:
            report: dict[str, Any] = json.loads((Path(folder) / "report.json").read_text("utf-8"))
        except FileNotFoundError:
            raise SystemExit(f"pytest ended without a report:\n{run.stdout}{run.stderr}") from None
        memory = [
            Memory(*json.loads(file.read_text("utf-8"))) for file in Path(folder).glob("memory-*")
        ]
    return Round(setting, seed, report, memory, commit())


@dataclass
class Soak:
    """All rounds in one setting."""

    rounds: int = 0
    comparisons: int = 0
    seconds: float = 0.0
    record: Record = field(default_factory=Record)
    alarms: list[str] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    memory: Memory = NO_MEMORY  # of the largest process
    commits: dict[str, None] = field(default_factory=dict)
    profiles: dict[str, None] = field(default_factory=dict)

    def add(self, one: Round) -> None:
        self.rounds += 1
        self.comparisons += sum(row["examples"] for row in one.report["rows"])
        self.seconds += one.report["run"]["seconds"]
        self.alarms += one.alarms
        self.commits[one.commit] = None
        self.profiles[one.report["run"]["profile"]] = None
        self.environment = one.report["environment"]
        self.memory = max(self.memory, one.largest, key=lambda memory: memory.end)
        for cell in one.report["rows"]:
            row = cell["device"], cell["component"], cell["path"], cell["output"]
            numbers: dict[str, Any] = {name: cell[name] or 0 for name in COUNTED}
            tally = Tally(**numbers)
            tally.vacuous *= tally.examples  # the report has the mean
            self.record.tally(row, cell["dtype"]).add(tally)
        for text in one.report["not_verified"]:
            self.record.note(text)

    @property
    def total(self) -> Tally:
        total = Tally()
        for tally in self.record.tallies.values():
            total.add(tally)
        return total

    @property
    def rows(self) -> dict[tuple[str, str], dict[str, Tally]]:
        """By component and output, and by dtype, over all paths and devices."""
        found = self.record.tallies.items()
        components = list(dict.fromkeys(component for ((_, component, _, _), _), _ in found))
        rows: dict[tuple[str, str], dict[str, Tally]] = {}
        for (row, dtype), tally in sorted(found, key=lambda item: components.index(item[0][0][1])):
            _, component, _, output = row
            tallies = rows.setdefault((component, output), {name: Tally() for name in FORMATS})
            tallies[dtype].add(tally)
        return {
            row: {dtype: tally for dtype, tally in tallies.items() if tally.examples}
            for row, tallies in rows.items()
        }
