"""A script as a file: what it is about, its calls, and what their result is held against."""

import re
from pathlib import Path

import torch

from tests.harness import switches
from tests.harness.reproducer.script import Script
from tests.harness.reproducer.slicing import needed
from tests.harness.reproducer.tape import Tape


def write(folder: Path, title: str, script: Script) -> Path:
    """Write the script that shows a deviation, named after it."""
    folder.mkdir(parents=True, exist_ok=True)
    about = re.sub(
        r" (deviates|is|are|was|were|has|ran|drops|reach|sums|ends?) .*| on\b", "", title
    )
    name = re.sub(r"[^\w.]+", "-", about).strip("-")[:100]
    path = folder / f"{name}.py"
    path.write_text(text(title, script), "utf-8")
    return path


def write_ahead(path: Path, test: str, tape: Tape) -> None:
    """Write what the last call of a tape needs, and the call: it may be the last of all."""
    last = tape.statements[-1]
    script = Script(tape, None, needed(tape, "", last), switches.changed())
    title = f"{test}: the last of these calls kills the process (torch {torch.__version__})."
    lines = [*script.preamble(), *script.lines()]
    path.write_text("\n".join([f'"""{title}"""', "", *lines, ""]), "utf-8")


def text(title: str, script: Script) -> str:
    end = script.ending.lines() if script.ending else ()
    about = f'"""{title} (torch {torch.__version__}).'
    exits = ["", "Exit status 1 where torch is wrong, 0 where it is right.", '"""', ""]
    return "\n".join([about, *exits, *script.preamble(), *script.lines(), "", *end, ""])
