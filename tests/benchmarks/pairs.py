"""A function and its gradient three times: torch's, the reference's, and that with its bound."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness.rounding import Rounding

SIZES = (8, 64, 512)  # the sides of a matrix: 64, 4 thousand, 260 thousand numbers
COUNT = 4  # of the parameters that are stepped, or clipped, together
SIDES = ("torch", "reference", "with bound")


def numbers(*shape: int) -> np.ndarray:
    """The same float32 numbers for the same shape, always."""
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def matrices(size: int) -> list[np.ndarray]:
    """So many that are square."""
    return [numbers(i, size, size)[0] for i in range(1, COUNT + 1)]


def array_of(side: str) -> Callable[[np.ndarray], Any]:
    """What the reference is given: numbers, or numbers that carry their bound."""
    return Rounding.kernel("float32").array if side == "with bound" else np.asarray


@dataclass(frozen=True)
class Pair:
    """A function of torch and of the reference, and the inputs they are timed on."""

    inputs: Callable[[int], tuple[np.ndarray, ...]]
    torch: Callable[..., torch.Tensor]
    forward: Callable[..., Any]
    backward: Callable[..., Any]  # of grad_output, the output and the inputs

    def timed(self, side: str, direction: str, size: int, device: str) -> Callable[[], Any]:
        inputs = self.inputs(size)
        if side == "torch":
            return self.of_torch(direction, inputs, device)
        array = array_of(side)
        inputs = tuple(array(x) if x.dtype.kind == "f" else x for x in inputs)
        if direction == "forward":
            return lambda: self.forward(*inputs)
        output = self.forward(*inputs)
        grad_output = array(numbers(*output.shape))
        return lambda: self.backward(grad_output, output, *inputs)

    def of_torch(
        self, direction: str, inputs: Iterable[np.ndarray], device: str
    ) -> Callable[[], Any]:
        tensors = [torch.tensor(x, device=device) for x in inputs]
        leaves = [x.requires_grad_() for x in tensors if x.is_floating_point()]
        if direction == "forward":
            return lambda: self.torch(*tensors)
        output = self.torch(*tensors)
        grad_output = torch.tensor(numbers(*output.shape), device=device)
        return lambda: torch.autograd.grad(output, leaves, grad_output, retain_graph=True)


def pairs(table: dict[str, Pair]) -> Callable[..., Any]:
    """Time each pair of a table in both directions, at all sizes, by all sides."""

    def parametrized(test: Callable[..., Any]) -> Callable[..., Any]:
        for name, values in (
            ("side", SIDES),
            ("size", SIZES),
            ("direction", ("forward", "backward")),
            ("name", table),
        ):
            test = pytest.mark.parametrize(name, values)(test)
        return test

    return parametrized
