"""A script as a file: what it is about, its calls, and what their result is held against."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.harness.comparison import WORST, Comparison
from tests.harness.reproducer.script import Script, preamble
from tests.harness.reproducer.slicing import needed
from tests.harness.reproducer.tape import Tape


def write(folder: Path, title: str, script: Script, comparison: Comparison) -> Path:
    """Write the script that shows a deviation, named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.]+", "-", title.partition(" deviates")[0].replace(" on", "")).strip("-")
    path = folder / f"{name}.py"
    path.write_text(text(title, script, comparison), "utf-8")
    return path


def write_ahead(path: Path, test: str, tape: Tape) -> None:
    """Write what the last call of a tape needs, and the call: it may be the last of all."""
    last = tape.statements[-1]
    script = Script(tape, "", needed(tape, "", last))
    title = f"{test}: the last of these calls kills the process (torch {torch.__version__})."
    lines = script.lines()
    path.write_text("\n".join([f'"""{title}"""', "", *preamble(lines), *lines, ""]), "utf-8")


def text(title: str, script: Script, comparison: Comparison) -> str:
    lines = script.lines()
    about = f'"""{title} (torch {torch.__version__}).'
    exits = ["", "Exit status 1 where torch is wrong, 0 where it is right.", '"""', ""]
    return "\n".join([about, *exits, *preamble(lines), *lines, "", *comparing(comparison), ""])


def comparing(comparison: Comparison) -> list[str]:
    """Plain lines that hold the worst elements of `got` against the exact values."""
    worst, value, bound = comparison.worst(WORST), comparison.value, comparison.bound
    signed = comparison.expected.selected and any(value[at] == 0 for at in worst)
    return [
        "# index: (the exact value, how far rounding may take torch from it)",
        "expected = {",
        *(f"    {tuple(map(int, at))}: ({exact(value[at])}, {exact(bound[at])})," for at in worst),
        "}",
        "wrong = 0",
        "for index, (value, bound) in expected.items():",
        "    number = got[index].item()",
        "    right = abs(number - value) <= bound or str(number) == str(value)",
        *(["    right = right and str(number) == str(value)  # with its sign"] if signed else []),
        "    wrong += not right",
        "    print(index, 'right' if right else 'WRONG')",
        "    print(f'  expected {value!r}, give or take {bound:.3g}\\n  got      {number!r}')",
        "raise SystemExit(wrong > 0)",
    ]


def exact(x: np.floating[Any]) -> str:
    """The float64 itself."""
    return re.sub(r"(inf|nan)", r"float('\1')", repr(float(x)))
