"""The journal of a run: one line of JSON for its beginning, and two for each test."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.record import Record


class Journal:
    """Appended to as the run goes on, and removed at its end."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file = path, path.open("w", buffering=1, encoding="utf-8")
        self.write(run=run)

    def write(self, **line: Any) -> None:
        self.file.write(json.dumps(line) + "\n")

    def remove(self) -> None:
        self.file.close()
        self.path.unlink()


@dataclass
class Legacy:
    """What a journal tells of a run that died."""

    run: dict[str, Any]
    record: Record = field(default_factory=Record)
    failures: list[dict[str, Any]] = field(default_factory=list)
    running: list[str] = field(default_factory=list)  # tests that began and did not end
    interrupted: bool = False  # by the user, and not by any of these

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Legacy":
        first, *others = map(json.loads, filter(complete, lines))
        legacy = cls(first["run"])
        for line in others:
            match line:
                case {"begins": test}:
                    legacy.running.append(test)
                case {"failure": failure}:
                    legacy.failures.append(failure)
                case {"interrupted": _}:
                    legacy.interrupted = True
                case _:
                    legacy.running.remove(line["ends"])
                    legacy.record.merge(line["record"])
        return legacy


def complete(line: str) -> bool:
    """The last line may have been cut off."""
    return line.endswith("\n")
