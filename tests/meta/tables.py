"""Tables of figures, for the terminal and for pages in Markdown."""

import subprocess
from collections.abc import Iterable, Iterator

from tests.meta.faults.runs import REPOSITORY

Lines = Iterable[tuple[str, ...]]


def markdown(lines: Lines, words: int) -> str:
    """A table; its first columns are words, the others numbers, at the right."""
    head, *others = lines
    rule = ("---",) * words + ("---:",) * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *others))


def aligned(lines: Lines, words: int) -> Iterator[str]:
    """The same in plain text."""
    table = list(lines)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        left = [f"{cell:<{width}}" for cell, width in zip(cells[:words], widths, strict=False)]
        right = [
            f"{cell:>{width}}" for cell, width in zip(cells[words:], widths[words:], strict=True)
        ]
        yield "  ".join((*left, *right)).rstrip()


def commit() -> str:
    """What is checked out, for pages that say what they were written with."""
    words = ["git", "describe", "--always", "--dirty"]
    run = subprocess.run(words, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    return run.stdout.strip() or "unknown"


def command(module: str, words: list[str]) -> str:
    """What writes a page, but for the paths of one machine."""
    shown = list(words)
    while "--log" in shown:
        del shown[(at := shown.index("--log")) : at + 2]
    for at, word in enumerate(words[1:]):
        if words[at] == "--python":
            shown[shown.index(word)] = "PATH"
    return " ".join(["python", "-m", module, *shown])
