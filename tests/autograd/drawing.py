"""How programs are drawn: mostly sound ones, and each misuse now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.autograd.draft import BINARY, Draft, Shape, broadcast, extend, new_shapes
from tests.autograd.programs import Program, Step, Walk
from tests.harness.strategies.arrays import DrawnArray, arrays


@st.composite
def programs(draw: st.DrawFn, max_steps: int = 8) -> Program:
    rows, columns = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    shapes: list[Shape] = [(rows, columns), (rows, columns), (columns, columns), (columns,), ()]
    family = draw(st.sampled_from(("integers", "dyadic", "uniform")))

    def array(shape: Shape) -> DrawnArray:
        return draw(arrays(shape, family, "contiguous", special=False))

    leaves = tuple(map(array, shapes))
    frozen = draw(st.sets(st.integers(0, 4), max_size=2))
    draft = Draft(shapes, [i not in frozen for i in range(5)], list(range(5)), set(), {}, set())
    steps, counts = [], []
    some = [steps_on(draft)] * draw(st.integers(1, max_steps))
    for strategy in (*some, retaining(draft), overwriting(draft)):
        step = draw(strategy)
        if step is not None:
            steps.append(step)
            counts.append(extend(draft, step))
    walks = []
    for _ in range(draw(st.sampled_from((1, 2, 2)))):
        roots, grads = [], []
        for _ in range(draw(st.integers(1, 2))):
            everything = draft.where(lambda i: True)
            tracked = draft.where(lambda i: draft.tracked[i])
            suspects = sorted(draft.suspects.intersection(tracked))
            among = suspects if bool(suspects) and draw(st.booleans()) else tracked
            roots.append(draw(latest(everything if draw(rarely) else among)))
            implied = draw(st.booleans() if draft.shapes[roots[-1]] == () else rarely)
            grads.append(None if implied else array(draft.shapes[roots[-1]]))
        retain_graph, clear = draw(st.integers(0, 3)) > 0, draw(st.integers(0, 3)) == 3
        walks.append(Walk(tuple(roots), tuple(grads), retain_graph, clear))
    needed = tuple(i not in frozen for i in range(5))
    return Program(leaves, needed, tuple(steps), tuple(counts), tuple(walks))


rarely = st.integers(0, 9).map(lambda dice: dice == 9)


def latest(positions: list[int]) -> st.SearchStrategy[int]:
    """One of them, often the latest: it has the most behind it."""
    return st.just(positions[-1]) | st.sampled_from(positions[::-1])


@st.composite
def steps_on(draw: st.DrawFn, draft: Draft) -> Step:
    """One step on the values of a draft."""
    shapes, (rows, columns) = draft.shapes, draft.shapes[0]
    operation = draw(st.sampled_from(OPERATIONS))
    # torch says that views made under no_grad require grad (pytorch issue 11390); claim G13 has it.
    no_grad = operation not in NO_CONTROL and draw(rarely)
    any_at_all = draw(rarely)

    def allowed(i: int) -> bool:
        if operation in ("linear", "log_softmax", "nll_loss", "unbind"):
            return shapes[i] == (rows, columns)
        if operation.endswith("_"):
            misused = i < 5 and draft.tracked[i] and not no_grad
            return draft.memory[i] not in draft.taken_apart and (any_at_all or not misused)
        return operation != "retain_grad" or any_at_all or (i >= 5 and draft.tracked[i])

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


@st.composite
def retaining(draw: st.DrawFn, draft: Draft) -> Step | None:
    """Now and then, a last word to some value: to keep its gradient."""
    results = draft.where(lambda i: i >= 5 and draft.tracked[i])
    if not results or draw(st.booleans()):
        return None
    return Step("retain_grad", (draw(latest(results)),))


@st.composite
def overwriting(draw: st.DrawFn, draft: Draft) -> Step | None:
    """Now and then, a change in place of what some node has saved."""
    memory = draft.savers.keys() - draft.taken_apart
    saved = draft.where(lambda i: draft.memory[i] in memory and (i >= 5 or not draft.tracked[i]))
    if not saved or draw(st.booleans()):
        return None
    return Step("multiply_", (draw(latest(saved)), 4))


NO_CONTROL = ("unbind", "detach", "retain_grad")
OPERATIONS = (
    *("multiply", "add", "sum", "relu", "linear", "power", "subtract", "log_softmax", "nll_loss"),
    *("multiply", "linear", "unbind", "multiply_", "add_", "relu_", "detach", "retain_grad"),
)
