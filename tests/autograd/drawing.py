"""How programs are drawn: mostly sound ones, and each misuse now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.autograd.programs import Program, Step, Walk
from tests.harness.strategies.arrays import DrawnArray, arrays

Shape = tuple[int, ...]


@dataclass
class Draft:
    """What is known about the values of a program that is being drawn, by their positions."""

    shapes: list[Shape]
    tracked: list[bool]  # whether they require a gradient
    memory: list[int]  # which of them share theirs
    taken_apart: set[int]  # memory that rows share with their matrix: not to be changed in place

    def where(self, condition: Callable[[int], bool]) -> list[int]:
        return [i for i in range(len(self.shapes)) if condition(i)]


@st.composite
def programs(draw: st.DrawFn, max_steps: int = 8) -> Program:
    rows, columns = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    shapes: list[Shape] = [(rows, columns), (rows, columns), (columns, columns), (columns,), ()]
    family = draw(st.sampled_from(("integers", "dyadic", "uniform")))

    def array(shape: Shape) -> DrawnArray:
        return draw(arrays(shape, family, "contiguous", special=False))

    leaves = tuple(map(array, shapes))
    frozen = draw(st.sets(st.integers(0, 4), max_size=2))
    draft = Draft(shapes, [i not in frozen for i in range(5)], list(range(5)), set())
    steps, counts = [], []
    for _ in range(draw(st.integers(1, max_steps))):
        step = draw(steps_on(draft))
        steps.append(step)
        counts.append(extend(draft, step))
    walks = []
    for _ in range(draw(st.integers(1, 2))):
        roots, grads = [], []
        for _ in range(draw(st.integers(1, 2))):
            everything = draft.where(lambda i: True)
            tracked = draft.where(lambda i: draft.tracked[i])
            roots.append(draw(latest(everything if draw(rarely) else tracked)))
            implied = draw(st.booleans() if draft.shapes[roots[-1]] == () else rarely)
            grads.append(None if implied else array(draft.shapes[roots[-1]]))
        walks.append(Walk(tuple(roots), tuple(grads), draw(st.booleans()), draw(st.booleans())))
    needed = tuple(i not in frozen for i in range(5))
    return Program(leaves, needed, tuple(steps), tuple(counts), tuple(walks))


rarely = st.integers(0, 9).map(lambda dice: dice == 9)


def latest(positions: list[int]) -> st.SearchStrategy[int]:
    """One of them, the latest first: it has the most behind it."""
    return st.sampled_from(positions[::-1])


@st.composite
def steps_on(draw: st.DrawFn, draft: Draft) -> Step:
    """One step on the values of a draft."""
    shapes, (rows, columns) = draft.shapes, draft.shapes[0]
    operation = draw(st.sampled_from(OPERATIONS))
    # torch says that views made under no_grad require grad (pytorch issue 11390); claim G13 has it.
    no_grad = operation != "unbind" and draw(rarely)
    any_at_all = draw(rarely)

    def allowed(i: int) -> bool:
        if operation in ("linear", "log_softmax", "nll_loss", "unbind"):
            return shapes[i] == (rows, columns)
        if operation.endswith("_"):
            misused = i < 5 and draft.tracked[i] and not no_grad
            return draft.memory[i] not in draft.taken_apart and (any_at_all or not misused)
        return operation != "retain_grad" or any_at_all or draft.tracked[i]

    among = draft.where(allowed)
    if not among:
        return Step("sum", (draw(latest(draft.where(lambda i: True))),))
    operands = [draw(latest(among))]
    constant: Any = None
    if operation == "linear":
        operands.append(draw(latest(draft.where(lambda i: shapes[i] == (columns, columns)))))
        if draw(st.booleans()):
            operands.append(draw(latest(draft.where(lambda i: shapes[i] == (columns,)))))
    elif operation in BINARY:
        fit = draft.where(lambda i: broadcast(shapes[operands[0]], shapes[i]) is not None)
        if operation.endswith("_"):
            shape = shapes[operands[0]]
            fit = [i for i in fit if broadcast(shape, shapes[i]) == shape]
        operands.append(draw(latest(fit)))
    elif operation == "power":
        constant = 2
    elif operation == "nll_loss":
        labels = st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows)
        constant = np.array(draw(labels))
    step = Step(operation, tuple(operands), constant, "", no_grad)
    if operation in NO_CONTROL or new_shapes(draft, step) != [shapes[operands[0]]]:
        return step
    return replace(step, control=draw(st.sampled_from(("", "", "", "if", "while"))))


BINARY = ("add", "subtract", "multiply", "add_", "multiply_")
NO_CONTROL = ("unbind", "detach", "retain_grad")
OPERATIONS = (
    *("multiply", "add", "sum", "relu", "linear", "power", "subtract", "log_softmax", "nll_loss"),
    *("multiply", "linear", "unbind", "multiply_", "add_", "relu_", "detach", "retain_grad"),
)


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
    return len(new)


def broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None
