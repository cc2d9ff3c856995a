"""Small programs that run on torch and on `reference/graph.py` alike.

A program has five leaves and some steps. A step applies an operation to earlier values, and may
stand in an `if`, in a `while`, or under `no_grad`. What a step does is written once; the library
that does it is the only difference.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.autograd.libraries import Library
from tests.harness.strategies.arrays import DrawnArray


@dataclass(frozen=True)
class Step:
    """`operation(*operands, constant)`, the operands being positions of earlier values."""

    operation: str
    operands: tuple[int, ...]
    constant: Any = None
    control: str = ""  # "if" the first operand's first element is positive, or "while" it is
    no_grad: bool = False

    def run(self, library: Library, values: list[Any]) -> tuple[Any, ...]:
        """The new values, one for most operations."""
        operands = [values[i] for i in self.operands]
        constants = () if self.constant is None else (self.constant,)
        with library.no_grad() if self.no_grad else nullcontext():
            if not self.control:
                result = library.apply(self.operation, *operands, *constants)
                if result is None:  # retain_grad makes nothing
                    return ()
                return result if isinstance(result, tuple) else (result,)
            for _ in range(1 if self.control == "if" else 3):
                if library.first(operands[0]) > 0:
                    operands[0] = library.apply(self.operation, *operands, *constants)
            return (operands[0],)

    def __str__(self) -> str:
        constant = "" if self.constant is None else f", {np.asarray(self.constant).tolist()}"
        call = f"{self.operation}({', '.join(f'v{i}' for i in self.operands)}{constant})"
        control = f"{self.control} v{self.operands[0]}[0] > 0: " if self.control else ""
        return f"{'no_grad: ' if self.no_grad else ''}{control}{call}"


@dataclass(frozen=True)
class Walk:
    """One call of backward: from which values, with which gradients (None: one is implied)."""

    roots: tuple[int, ...]
    grads: tuple[DrawnArray | None, ...]
    retain_graph: bool
    clear: bool  # the gradients, before

    def __str__(self) -> str:
        roots = ", ".join(f"v{i}" for i in self.roots)
        retain = ", retain_graph=True" if self.retain_graph else ""
        return f"{'clear; ' if self.clear else ''}backward([{roots}], {[*self.grads]}{retain})"


@dataclass(frozen=True)
class Program:
    """Leaves (values v0 to v4), steps (which make the values from v5 on), and walks back."""

    leaves: tuple[DrawnArray, ...]
    requires_grad: tuple[bool, ...]
    steps: tuple[Step, ...]
    counts: tuple[int, ...]  # how many values each step makes
    walks: tuple[Walk, ...]

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """As somebody would write it down."""
        lines = [
            f"v{i} = {leaf!r}{' requires grad' if needed else ''}"
            for i, (leaf, needed) in enumerate(zip(self.leaves, self.requires_grad, strict=True))
        ]
        position = len(self.leaves)
        for step, count in zip(self.steps, self.counts, strict=True):
            made = ", ".join(f"v{i}" for i in range(position, position + count))
            lines.append(f"{made} = {step}" if made else str(step))
            position += count
        printer.text("\n    ".join(["Program", *lines, *map(str, self.walks)]))
