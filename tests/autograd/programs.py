"""Small programs, drawn, that run on torch and on `reference/graph.py` alike.

A program has five leaves and some steps. A step applies an operation to earlier values, and may
stand in an `if`, in a `while`, or under `no_grad`. What it does is decided here, once; which library
does it is the only difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from reference import operations
from reference.graph import Tensor, backward, no_grad
from tests.harness.rounded import Rounded
from tests.harness.strategies.arrays import DrawnArray, arrays

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Library:
    """What a program is run with."""

    operations: dict[str, Callable[..., Any]]
    in_place: dict[str, Callable[..., Any]]
    no_grad: Callable[[], AbstractContextManager[Any]]
    backward: Callable[..., None]
    first: Callable[[Any], float]  # element of a tensor

    def apply(self, name: str, *arguments: Any) -> Any:
        if name in ("detach", "retain_grad"):
            return getattr(arguments[0], name)()
        if name.endswith("_"):
            return self.in_place[name](*arguments)
        return self.operations[name](*arguments)


def first_element(tensor: Tensor) -> float:
    """The number that a condition looks at; no condition where rounding might decide it."""
    values: Rounded = tensor.values
    value, bound = values.value.flat[0], np.broadcast_to(values.bound, values.shape).flat[0]
    if 0 < bound and abs(value) <= 2 * bound:
        reject()
    return float(value)


def reference_in_place(name: str) -> Callable[..., Any]:
    return lambda *arguments: getattr(operations, name)(*arguments, in_place=True)


NAMES = ("linear", "relu", "log_softmax", "nll_loss", "add", "subtract", "multiply", "power", "sum")

REFERENCE = Library(
    {name: getattr(operations, name) for name in (*NAMES, "unbind")},
    {f"{name}_": reference_in_place(name) for name in ("relu", "add", "multiply")},
    no_grad,
    backward,
    first_element,
)
TORCH = Library(
    {
        "linear": F.linear,
        "relu": torch.relu,
        "log_softmax": lambda x: F.log_softmax(x, dim=1),
        "nll_loss": lambda x, target: F.nll_loss(x, torch.from_numpy(target).to(x.device)),
        "add": torch.add,
        "subtract": torch.sub,
        "multiply": torch.mul,
        "power": torch.pow,
        "sum": torch.sum,
        "unbind": torch.unbind,
    },
    {"relu_": torch.relu_, "add_": torch.Tensor.add_, "multiply_": torch.Tensor.mul_},
    torch.no_grad,
    # By attribute, at the time of the call: this is where faults are put.
    lambda roots, grads, retain_graph: torch.autograd.backward(
        roots, grads, retain_graph=retain_graph
    ),
    lambda x: float(x.detach().reshape(-1)[0]),
)


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
            any_at_all = draw(rarely)
            roots.append(draw(latest(draft.where(lambda i: any_at_all or draft.tracked[i]))))
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
