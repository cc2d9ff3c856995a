"""The claims as a table: on the terminal, and as a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from itertools import groupby

from tests.claims.claim import HOLDS, IDS, SECTIONS, Claim

TITLE = """\
# What people believe about training in PyTorch

Each line is a sentence from somebody's notes on `loss.backward()` and `optimizer.step()`, and each
has been put to the test: `pytest -m claim` settles them all again, `pytest -k G5` only one. Most
hold. The others are worth knowing, since a training loop that rests on them is a little wrong:

{others}

This page is written by `pytest -m claim --claims tests/CLAIMS.md`.
"""


@dataclass
class Row:
    """One claim, with all that its tests have shown."""

    claim: Claim
    settled: bool

    @classmethod
    def merged(cls, tests: Iterable[tuple[Claim, bool]]) -> list[Row]:
        """One row for each claim, in the order of the list."""
        rows: dict[str, Row] = {}
        for claim, passed in tests:
            row = rows.setdefault(claim.id, cls(claim, passed))
            row.settled &= passed
            row.claim.numbers = row.claim.numbers or claim.numbers
        return sorted(rows.values(), key=lambda row: IDS.index(row.claim.id))

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        claim = self.claim
        verdict = claim.verdict if self.settled else "NOT SETTLED"
        return claim.id, claim.belief, verdict, claim.statement, claim.numbers


HEAD = ("", "people say", "verdict", "what is so", "seen")


def page(rows: list[Row]) -> str:
    """In Markdown, one table for each section; what does not simply hold stands out."""
    others = [
        f"- {verdict}: {', '.join(row.claim.id for row in rows if row.cells[2] == verdict)}"
        for verdict in dict.fromkeys(row.cells[2] for row in rows)
        if verdict != HOLDS
    ]
    parts = [TITLE.format(others="\n".join(sorted(others)))]
    for letter, section in groupby(rows, key=lambda row: row.claim.id[0]):
        lines = [HEAD, ("---",) * len(HEAD), *(emphasised(row.cells) for row in section)]
        drawn = "\n".join(f"| {' | '.join(escaped(cell) for cell in line)} |" for line in lines)
        parts.append(f"## {SECTIONS[letter][0]}\n\n{drawn}\n")
    return "\n".join(parts)


def emphasised(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The id and verdict of a claim that does not simply hold, in bold."""
    id, belief, verdict, *rest = cells
    if verdict == HOLDS:
        return cells
    return f"**{id}**", belief, f"**{verdict}**", *rest


def escaped(cell: str) -> str:
    """A bar would end the cell."""
    return cell.replace("|", "\\|")


def table(rows: list[Row], colours: bool) -> str:
    """For the terminal: drawn by rich, where it is installed."""
    try:
        from rich import box, console, text
        from rich import table as tables
    except ImportError:
        return plain(rows)
    colour = {"holds": "green", "holds with care": "yellow", "does not hold": "red"}
    drawn = tables.Table("", "people say", "verdict", "what is so, and seen", box=box.SIMPLE_HEAD)
    for row in rows:
        id, belief, verdict, statement, numbers = row.cells
        judged = text.Text(verdict, colour.get(verdict, "bold red"))
        rest = "\n".join(filter(None, (statement, numbers)))
        drawn.add_row(id, text.Text(belief), judged, text.Text(rest))
    output = StringIO()
    console.Console(file=output, force_terminal=colours).print(drawn)
    return output.getvalue()


def plain(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        id, belief, verdict, statement, numbers = row.cells
        lines.append(f"{id:<4}{verdict:<16}{belief}")
        lines += [f"{'':<20}{text}" for text in (statement, numbers) if text]
    return "\n".join(lines) + "\n"
