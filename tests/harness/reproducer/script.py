"""What is kept of a tape, as lines of Python that can be run."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import torch

from tests.harness.reproducer.endings import Ending, Refusing
from tests.harness.reproducer.literals import PACKED
from tests.harness.reproducer.slicing import words
from tests.harness.reproducer.statements import Statement, source
from tests.harness.reproducer.tape import Tape
from tests.harness.switches import source as source_of
from tests.harness.switches import switched

NOTHING = object()
SHORT = 80  # characters


@dataclass
class Script:
    """A tape, of which some statements are kept, and what comes out of it."""

    tape: Tape
    ending: Ending | None  # without one, the last call is all
    kept: set[Statement]
    switches: dict[str, Any]  # of torch, that are not as it has them by itself

    @property
    def result(self) -> str:
        return self.ending.result if self.ending else ""

    def calls(self) -> list[str]:
        return list(source(self.tape.statements, self.kept.__contains__))

    def lines(self) -> list[str]:
        """Leaves, calls, and the result as `got`."""
        calls = self.calls()
        text = "\n".join([*calls, self.result])
        used = [leaf for leaf in self.tape.leaves if re.search(rf"\b{leaf.name}\b", text)]
        lines: list[str] = []
        memories: dict[int, str] = {}
        for leaf in used:
            sharing = [other for other in used if other.memory == leaf.memory]
            if len(sharing) > 1 and leaf.content.numel() and leaf.memory not in memories:
                memories[leaf.memory] = f"memory{len(memories) + 1}"
                lines.append(f"{memories[leaf.memory]} = {leaf.dense}")
            made = leaf.define(memories.get(leaf.memory))
            if leaf.name in words(self.result) or not assigned(leaf.name, made, calls):
                lines.append(made)
        lines += joined([*calls, *([f"got = {self.result}"] if self.result else [])])
        return refused(lines) if isinstance(self.ending, Refusing) else lines

    def preamble(self) -> list[str]:
        set_ = source_of(self.switches)
        return preamble(self.lines()) + ([*set_, ""] if set_ else [])

    def run(self) -> Any:
        """What comes out of it: `got`, or the exception."""
        names: dict[str, Any] = {}
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), switched({}):
            warnings.simplefilter("ignore")
            try:
                exec("\n".join([*self.preamble(), *self.lines()]), names)
            except (Exception, SystemExit) as error:
                return error
        return names.get("got", NOTHING)


def assigned(name: str, made: str, calls: list[str]) -> bool:
    """A short leaf that becomes a gradient, and nothing else, is made where it does."""
    uses = [i for i, line in enumerate(calls) if re.search(rf"\b{name}\b", line)]
    if len(made) > SHORT or len(uses) != 1 or not calls[uses[0]].endswith(f".grad = {name}"):
        return False
    calls[uses[0]] = calls[uses[0]].removesuffix(name) + made.removeprefix(f"{name} = ")
    return True


def refused(lines: list[str]) -> list[str]:
    """The last call, with whatever `with` it stands in, is to raise."""
    start = max(i for i, line in enumerate(lines) if not line.startswith(" "))
    return [
        *lines[:start],
        "try:",
        *(f"    {line}" for line in lines[start:]),
        "except Exception as error:",
        "    print('right: it raises', repr(error))",
        "    raise SystemExit(0)",
    ]


def joined(lines: list[str]) -> list[str]:
    """A name that is used once, in the next line, gives way to what it stands for."""
    lines = list(lines)
    i = len(lines) - 2
    while i >= 0:
        if found := re.fullmatch(r"( *)(\w+) = ([\w.]+(\(.*\)|\[.*\])?)", lines[i]):
            indent, name, made, _ = found.groups()
            uses = re.compile(rf"\b{name}\b(?! = )")
            count = sum(len(uses.findall(line)) for line in lines[i + 1 :])
            once = count == 1 and uses.search(lines[i + 1])
            if once and re.match(rf"{indent}\S", lines[i + 1]) and "def " not in lines[i + 1]:
                start, end = once.span()
                lines[i : i + 2] = [lines[i + 1][:start] + made + lines[i + 1][end:]]
        i -= 1
    return lines


def preamble(lines: list[str]) -> list[str]:
    text = "\n".join(lines)
    used = {
        "base64": "unpack(",
        "contextlib": "contextlib.",
        "copy": "copy.deepcopy(",
        "io": "io.BytesIO(",
        "zlib": "unpack(",
    }
    standard = [f"import {name}" for name, use in used.items() if use in text]
    imports = [
        *([*standard, ""] if standard else []),
        "import torch",
        *(["import torch.nn.functional as F"] if re.search(r"\bF\.", text) else []),
        *(["from torch import inf, nan"] if re.search(r"\b(inf|nan)\b", text) else []),
    ]
    return [*imports, *(["", *PACKED.splitlines()] if "unpack(" in text else []), ""]
