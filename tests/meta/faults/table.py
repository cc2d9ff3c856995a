"""What became of the faults: the table that is printed, FAULTS.md and its short form in the README.

`python -m tests.meta.faults --seeds 1,2,3 --write` writes them; nobody else does.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import torch

from tests.meta.faults.catalogue import KINDS, Fault
from tests.meta.faults.control import CONTROL
from tests.meta.faults.runs import REPOSITORY

PAGE = Path(__file__).with_name("FAULTS.md")
README = REPOSITORY / "README.md"
SHORT_FORM = re.compile(r"(?<=<!-- faults -->\n).*?(?=<!-- /faults -->)", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """What became of one fault, with one seed."""

    fault: Fault
    seed: int
    by: str  # the first property that finds it, "" if none
    examples: int  # of it, until the first that fails
    seconds: float


Rows = dict[Fault, list[Verdict]]  # a verdict for each seed


def found(verdicts: list[Verdict]) -> bool:
    return all(verdict.by for verdict in verdicts)


def cells(fault: Fault, verdicts: list[Verdict]) -> list[str]:
    """Fault, kind, examples with each seed, most seconds, and by which properties it is found."""
    missed = [str(verdict.seed) for verdict in verdicts if not verdict.by]
    by = ", ".join(dict.fromkeys(v.by for v in verdicts if v.by)) or "nothing"
    if missed and fault is not CONTROL:
        by += f"; SURVIVES with seed {', '.join(missed)}"
    examples = ", ".join(str(v.examples) if v.by else "-" for v in verdicts)
    return [fault.name, fault.kind, examples, f"{max(v.seconds for v in verdicts):.1f}", by]


def totals(rows: Rows) -> Iterator[list[str]]:
    """Of each kind and of all: how many are found, and in how many examples, median and most."""
    faults = {fault: verdicts for fault, verdicts in rows.items() if fault is not CONTROL}
    for kind in [*(k for k in KINDS if any(f.kind == k for f in faults)), "all"]:
        these = [verdicts for fault, verdicts in faults.items() if kind in (fault.kind, "all")]
        examples = [v.examples for verdicts in these for v in verdicts if v.by] or [0]
        count = f"{sum(map(found, these))} of {len(these)}"
        yield [kind, KINDS.get(kind, ""), count, f"{median(examples):.0f}", str(max(examples))]


HEADS = ["fault", "kind", "examples", "s", "found by"]
TOTALS = ["kind", "what goes wrong", "found", "examples", "at most"]


def printed(rows: Rows) -> Iterator[str]:
    table = [HEADS, *(cells(fault, verdicts) for fault, verdicts in rows.items())]
    short = [TOTALS, *totals(rows)]
    for lines in (table, short):
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            yield "  ".join(padded).rstrip()
        yield ""


def markdown(heads: list[str], lines: Iterable[list[str]]) -> str:
    every = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)


def write(rows: Rows, made_by: str) -> None:
    short = markdown(TOTALS, totals(rows))
    alarms = sum(bool(verdict.by) for verdict in rows[CONTROL])
    control = f"The control, which changes nothing, is found by {alarms or 'none'}."
    where = f"torch {torch.__version__.partition('+')[0]}, {date.today()}, `{made_by}`"
    stories = markdown(
        ["fault", "kind", "story"], ([f.name, f.kind, one_line(f.story)] for f in rows)
    )
    table = markdown(HEADS, (cells(fault, verdicts) for fault, verdicts in rows.items()))
    PAGE.write_text(
        f"# Faults\n\nPut into torch, one at a time, by `tox run -e faults`: {where}.\n"
        "Examples until the first that fails, with each seed; the seconds of the slowest.\n\n"
        f"{short}\n{control}\n\n## Found\n\n{table}\n## Stories\n\n{stories}",
        "utf-8",
    )
    intro = "Faults put into torch, and found ([one by one](tests/meta/faults/FAULTS.md)):"
    text = f"{intro}\n\n{short}\n{control} ({where})\n"
    README.write_text(SHORT_FORM.sub(lambda _: text, README.read_text("utf-8")), "utf-8")


def one_line(story: str) -> str:
    return " ".join(story.split())
