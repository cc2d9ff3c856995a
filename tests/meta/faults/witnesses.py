"""Direct calls of torch, and their results to the last bit: what proves that a fault is there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from tests.meta.faults.catalogue import Function, Witness

Tensor = torch.Tensor


def seen(witness: Witness) -> str:
    """Everything about the result of a call that can be told, or the error that it raises."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return repr(told(witness()))
        except Exception as error:
            return repr(error)


def told(result: Any) -> Any:
    """A result without tensors: of them, the dtype, whether they require grad, and the numbers."""
    if isinstance(result, Tensor):
        return str(result.dtype), result.requires_grad, result.tolist()
    if isinstance(result, dict):
        return {name: told(x) for name, x in result.items()}
    return [told(x) for x in result] if isinstance(result, list | tuple) else result


# Numbers


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Of both signs, with every digit, and the same each time."""
    counts = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return (3 * torch.sin(counts**2)).to(dtype).reshape(shape)


def labels(rows: int, classes: int) -> Tensor:
    return torch.arange(rows) % classes


# Functions


def derivatives(
    function: Function, *inputs: Any, back: Tensor | None = None, **options: Any
) -> Any:
    """The value, and the gradients of what is neither an integer nor an option."""
    given = [leaf(x) for x in inputs]
    y = function(*given, **options)
    back = numbers(*y.shape, dtype=y.dtype) if back is None else back
    return y, torch.autograd.grad(y, moving(given), back, allow_unused=True)


def second_derivatives(function: Function, *inputs: Any) -> Any:
    """The gradients of the gradients, those along the numbers."""
    given = [leaf(x) for x in inputs]
    y = function(*given)
    back = numbers(*y.shape).requires_grad_()
    first = torch.autograd.grad(y, moving(given), back, create_graph=True)
    along = [numbers(*grad.shape) for grad in first]
    return torch.autograd.grad(first, [*moving(given), back], along, materialize_grads=True)


def tangents(function: Function, *inputs: Tensor) -> Any:
    """How the value moves with all inputs at once, in forward mode."""
    return torch.func.jvp(function, inputs, tuple(numbers(*x.shape) for x in inputs))[1]


def leaf(x: Any) -> Any:
    floating = isinstance(x, Tensor) and x.is_floating_point()
    return x.detach().requires_grad_() if floating else x


def moving(given: Iterable[Any]) -> list[Tensor]:
    return [x for x in given if isinstance(x, Tensor) and x.requires_grad]


def errors(loss: Function, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """Loss and gradients of a loss of regression, called as its module calls it."""
    x = numbers(2, 4, dtype=dtype)
    return derivatives(loss, x, x.flip(0), **({"reduction": "mean"} | options))


# Optimizers


def pair(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Two parameters."""
    return [numbers(3, dtype=dtype).requires_grad_(), numbers(2, 2, dtype=dtype).requires_grad_()]


def trained(optimizer: torch.optim.Optimizer, steps: int = 2) -> Any:
    """The parameters, their gradients and all state, after a few steps."""
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for t in range(steps):
        for i, param in enumerate(params):
            param.grad = numbers(*param.shape, dtype=param.dtype) - t - i
        optimizer.step()
    return [(param, param.grad, optimizer.state[param]) for param in params]


def reloaded(optimizer: torch.optim.AdamW) -> Any:
    """A new optimizer that goes on where one left off."""
    trained(optimizer)
    new = torch.optim.AdamW(pair())
    new.load_state_dict(optimizer.state_dict())
    return trained(new)
