"""One parameter with its gradient: what beliefs about optimizers are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Target

Factory = Callable[..., torch.optim.Optimizer]

pairs = shapes(max_dims=2, max_elements=17).flatmap(
    lambda shape: st.tuples(*[arrays(shape, "uniform", "contiguous", special=False)] * 2)
)


def parameter(array: DrawnArray, target: Target, grad: DrawnArray | None = None) -> torch.Tensor:
    p = array.tensor(target).requires_grad_()
    p.grad = None if grad is None else grad.tensor(target)
    return p


def scalar(value: float, grad: float | None = None) -> torch.Tensor:
    p = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    p.grad = None if grad is None else torch.tensor(grad, dtype=torch.float64)
    return p


def stepped(optimizer: Factory, value: float, grad: float, **options: Any) -> float:
    """One number after one step."""
    p = scalar(value, grad)
    optimizer([p], **options).step()
    return p.item()
