"""The two libraries that a program runs with: torch, and the reference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import reject

from reference import operations
from reference.graph import Tensor, backward, no_grad
from tests.harness.rounded import Rounded


@dataclass(frozen=True)
class Library:
    """What a program needs, by names that both have."""

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
    if bound > 0 and abs(value) <= 2 * bound:
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
