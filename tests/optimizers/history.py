"""A short history of an optimizer: some parameters, some steps, on torch and on the reference."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

PATHS = {
    "for-loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True, "fused": False},
    "fused": {"foreach": False, "fused": True},
}

State = dict[str, Any]  # "param" and the optimizer's buffers, all parameters in one vector
ReferenceStep = Callable[[State, Any, int], State]  # state, gradient, number of the step


@dataclass(frozen=True)
class History:
    """All parameters lie in one vector, and so do their gradients at each step.

    An optimizer works on each element by itself, so one evaluation of the reference serves all.
    """

    shapes: tuple[tuple[int, ...], ...]
    params: DrawnArray
    grads: tuple[DrawnArray, ...]

    @property
    def pieces(self) -> list[tuple[slice, tuple[int, ...]]]:
        """Where each parameter lies in the vector, and its shape."""
        ends = np.cumsum([0, *(math.prod(shape) for shape in self.shapes)])
        return [
            (slice(begin, end), shape)
            for (begin, end), shape in zip(pairwise(ends), self.shapes, strict=True)
        ]


@st.composite
def histories(draw: st.DrawFn) -> History:
    """One to three parameters, 0-d and empty ones included, and one to four steps."""
    drawn = draw(st.lists(shapes(max_dims=3, max_elements=257), min_size=1, max_size=3))
    size = (sum(math.prod(shape) for shape in drawn),)
    family = draw(families)
    vectors = arrays(size, family, layout="contiguous", special=False)
    grads = draw(st.lists(vectors, min_size=1, max_size=4))
    return History(tuple(drawn), draw(vectors), tuple(grads))


def verify(
    component: str,
    targets: Targets,
    history: History,
    optimizer: Callable[..., torch.optim.Optimizer],
    reference_step: ReferenceStep,
) -> None:
    """Let torch and the reference live through the history; they must agree after every step."""
    for dtype, paths in targets.by_dtype(*PATHS):
        # In half types the for-loop and foreach paths store after each operation; a fused kernel
        # computes the whole step in float32. In float32 and float64 there is no difference.
        by_rounding: dict[Rounding, list[Target]] = {}
        for target in paths:
            fused = target.path == "fused"
            rounding = Rounding.kernel(dtype) if fused else Rounding.op_by_op(dtype)
            by_rounding.setdefault(rounding, []).append(target)
        for rounding, sharing in by_rounding.items():
            expected = list(reference_history(rounding, history, reference_step, dtype))
            for target in sharing:
                run = torch_history(target, history, optimizer)
                for step, (states, want) in enumerate(zip(run, expected, strict=True), start=1):
                    compare(component, target, history, states, want, step)


def reference_history(
    rounding: Rounding, history: History, reference_step: ReferenceStep, dtype: str
) -> Iterable[State]:
    state = {"param": rounding.array(history.params.numbers(dtype))}
    for number, grad in enumerate(history.grads, start=1):
        after = reference_step(state, rounding.array(grad.numbers(dtype)), number)
        state = {name: rounding.stored(x) for name, x in after.items()}
        yield state


def torch_history(
    target: Target, history: History, optimizer: Callable[..., torch.optim.Optimizer]
) -> Iterable[list[dict[str, torch.Tensor]]]:
    def split(vector: torch.Tensor) -> list[torch.Tensor]:
        return [vector[where].reshape(shape).clone() for where, shape in history.pieces]

    params = [p.requires_grad_() for p in split(history.params.tensor(target))]
    opt = optimizer(params, **PATHS[target.path])
    for drawn in history.grads:
        grads = split(drawn.tensor(target))
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        opt.step()
        for param, grad in zip(params, grads, strict=True):
            assert param.grad is not None
            untouched = torch.equal(param.grad, grad)
            assert untouched, f"{target}: step() changed a gradient: {grad} became {param.grad}"
        yield [{"param": param, **opt.state[param]} for param in params]


def compare(
    component: str,
    target: Target,
    history: History,
    states: list[dict[str, Any]],
    expected: State,
    step: int,
) -> None:
    for state, (where, shape) in zip(states, history.pieces, strict=True):
        for name, vector in expected.items():
            check(component, name, target, state.get(name), vector[where].reshape(*shape))
        if "step" in state:
            count = float(state["step"])
            assert count == step, f"{component} on {target}: step is {count} after {step} steps"
