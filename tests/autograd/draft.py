"""What is known about a program while it is being drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.autograd.programs import Step

Shape = tuple[int, ...]

BINARY = ("add", "subtract", "multiply", "add_", "multiply_")
SAVES = {
    **dict.fromkeys(("multiply", "linear", "power"), "input"),
    **dict.fromkeys(("relu", "relu_", "log_softmax"), "output"),
}
"""Whose values an operation's node keeps for the way back."""


@dataclass
class Draft:
    """What is known about the values of a program that is being drawn, by their positions."""

    shapes: list[Shape]
    tracked: list[bool]  # whether they require a gradient
    memory: list[int]  # which of them share theirs
    taken_apart: set[int]  # memory that rows share with their matrix: not to be changed in place
    savers: dict[int, set[int]]  # by memory, the values whose nodes have saved it
    suspects: set[int]  # values whose nodes have saved what was changed in place since

    def where(self, condition: Callable[[int], bool]) -> list[int]:
        return [i for i in range(len(self.shapes)) if condition(i)]


def extend(draft: Draft, step: Step) -> int:
    """Enter the values that a step makes; how many they are."""
    new = new_shapes(draft, step)
    memory = draft.memory[step.operands[0]]
    if step.operation == "unbind":
        draft.taken_apart.add(memory)
    shares = step.operation in ("unbind", "detach") or step.operation.endswith("_") or step.control
    tracked = any(draft.tracked[i] for i in step.operands)
    tracked = tracked and not (step.no_grad or step.operation == "detach")
    draft.memory += [memory if shares else len(draft.memory)] * len(new)
    draft.tracked += [tracked] * len(new)
    draft.shapes += new
    if step.operation.endswith("_"):
        draft.suspects |= draft.savers.get(memory, set())
    made = range(len(draft.shapes) - len(new), len(draft.shapes))
    for i in {"input": step.operands, "output": made}.get(SAVES.get(step.operation, ""), ()):
        draft.savers.setdefault(draft.memory[i], set()).update(made)
    return len(new)


def new_shapes(draft: Draft, step: Step) -> list[Shape]:
    """The shapes of the values that a step makes."""
    first, *others = (draft.shapes[i] for i in step.operands)
    if step.operation in ("sum", "nll_loss"):
        return [()]
    if step.operation == "retain_grad":
        return []
    if step.operation == "unbind":
        return [first[1:]] * first[0]
    return [np.broadcast_shapes(first, *others) if step.operation in BINARY else first]


def broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None
