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
from reference.graph import Tensor, backward
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


LAYERS = ("linear", "relu", "log_softmax", "nll_loss")
ARITHMETIC = ("add", "subtract", "multiply", "power", "sum", "unbind")

REFERENCE = Library(
    {name: getattr(operations, name) for name in LAYERS + ARITHMETIC}
    | {"detach": Tensor.detach, "retain_grad": Tensor.retain_grad},
    {f"{name}_": reference_in_place(name) for name in ("relu", "add", "multiply")},
    operations.no_grad,
    backward,
    first_element,
)
# Where faults are put, torch's function is looked up when it is called.
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
        "detach": lambda x: torch.detach(x),  # noqa: PLW0108
        "retain_grad": lambda x: x.retain_grad(),
    },
    {"relu_": torch.relu_, "add_": lambda x, y: x.add_(y), "multiply_": lambda x, y: x.mul_(y)},
    torch.no_grad,
    lambda roots, grads, retain_graph: torch.autograd.backward(
        roots, grads, retain_graph=retain_graph
    ),
    lambda x: float(x.detach().reshape(-1)[0]),
)
