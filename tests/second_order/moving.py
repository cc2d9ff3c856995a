"""Inputs that move: how the output follows them, and how their gradients do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.harness.doors import SECOND_DOORS, Tensors, movements
from tests.harness.dual import Dual
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.values import families
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class Moving:
    """The inputs of a function, how each moves, and the gradient that comes back to its output."""

    inputs: dict[str, DrawnArray]
    directions: dict[str, DrawnArray]
    grad_output: DrawnArray

    def duals(self, rounding: Rounding, dtype: str) -> dict[str, Dual]:
        return {
            name: Dual(
                rounding.array(x.numbers(dtype)),
                rounding.array(self.directions[name].numbers(dtype)),
            )
            for name, x in self.inputs.items()
        }

    def tensors(self, target: Target) -> tuple[Tensors, Tensors, torch.Tensor]:
        """Inputs, directions and grad_output, which serve every path of a device."""
        return (
            {name: x.tensor(target) for name, x in self.inputs.items()},
            {name: v.tensor(target) for name, v in self.directions.items()},
            self.grad_output.tensor(target),
        )


tame = st.sampled_from(("integers", "dyadic", "uniform"))
"""For directions that are averaged: a mean of numbers that are far apart, or hardly, cancels."""


@st.composite
def moving(
    draw: st.DrawFn,
    shapes: dict[str, tuple[int, ...]],
    output_shape: tuple[int, ...],
    special: bool = True,
    of_inputs: st.SearchStrategy[str] = families,
    of_directions: st.SearchStrategy[str] = families,
) -> Moving:
    """Inputs of these shapes, from one family; directions and what comes back, from another.

    torch stores a tangent in the layout of its input, so it refuses an input whose elements share
    memory; see test_forward_mode_takes_an_expanded_input.
    """
    family, other = draw(of_inputs), draw(of_directions)
    return Moving(
        {
            name: draw(arrays(shape, family, None, special, may_overlap=False))
            for name, shape in shapes.items()
        },
        {name: draw(arrays(shape, other, None, special)) for name, shape in shapes.items()},
        draw(arrays(output_shape, other, None, special)),
    )


def verify(
    component: str,
    targets: Targets,
    case: Moving,
    function: Callable[..., torch.Tensor],
    reference: Callable[[str], dict[str, Any]],
) -> None:
    """All that moves, on every path; the reference takes a dtype, and leaves out what stays 0."""
    for dtype, paths in targets.by_dtype(*SECOND_DOORS):
        expected = reference(dtype)
        tensors = {device: case.tensors(Target(device, dtype, "any")) for device in targets.devices}
        for target in paths:
            found = movements(target, function, *tensors[target.device])
            for name, moved in found.items():
                want = expected.get(name)
                if want is None:
                    assert moved is not None
                    want = Rounding.kernel(dtype).array(np.zeros(moved.shape))
                check(component, name, target, moved, want)
