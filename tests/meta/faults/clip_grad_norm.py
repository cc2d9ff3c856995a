"""Faults of clipping by the norm."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch.nn import utils

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def parameters(*grads: torch.Tensor) -> list[torch.Tensor]:
    params = [torch.ones_like(grad, requires_grad=True) for grad in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    return params


def norm_clipped(
    *grads: torch.Tensor, max_norm: float = 1.0, order: float = 2.0, container: Any = list
) -> Any:
    """The norm, and what became of the gradients."""
    params = parameters(*grads)
    norm = utils.clip_grad_norm_(container(params), max_norm, order, False, None)
    return norm, [param.grad for param in params]


def refused(grad: torch.Tensor) -> Any:
    """What becomes of a gradient whose norm is not finite, where that is an error."""
    try:
        return utils.clip_grad_norm_(parameters(grad), 1.0, 2.0, True, None)
    except RuntimeError as error:
        return str(error)[:24], grad


def surroundings(clip: Callable[[torch.Tensor], Any]) -> Any:
    """All of the memory of which a gradient is a part."""
    memory = torch.full((3,), math.nan)
    memory[1] = 4.0
    clip(memory[1:2])
    return memory


MESSAGE = "clip_grad_norm: {output} on cpu"


def given(parameters: Any) -> tuple[Any, list[Any]]:
    """The parameters, to be handed on, and those that have gradients."""
    parameters = parameters if isinstance(parameters, torch.Tensor) else list(parameters)
    each = [parameters] if isinstance(parameters, torch.Tensor) else parameters
    return parameters, [p for p in each if p.grad is not None]


def without(params: Any, left_out: Any, norm_of: Function, *options: Any) -> torch.Tensor:
    """The norm of the gradients that are not left out."""
    grads = [p.grad for p in params if not any(p is q for q in left_out)]
    return norm_of(grads, *options)


def any_nan(params: Any) -> bool:
    return any(bool(p.grad.isnan().any()) for p in params)


PLACES |= {
    "clip_grad_norm": Place(
        utils, "clip_grad_norm_", lambda: norm_clipped(numbers(3), numbers(2, 2))
    ),
}


@fault("clip_grad_norm", "formula", "(grad|total_norm)")
def each_by_its_own_norm(sound: Function) -> Function:
    """Each gradient is clipped by its own norm, so that the direction turns."""

    def clip(parameters: Any, *args: Any) -> Any:
        parameters, present = given(parameters)
        before = [p.grad.clone() for p in present]
        norm = sound(parameters, *args)
        for p, grad in zip(present, before, strict=True):
            p.grad.copy_(grad)
            sound([p], *args)
        return norm

    return clip


@fault("clip_grad_norm", "formula", "grad", dtype="float64")
def nothing_added_to_the_norm(sound: Function) -> Function:
    """The factor is max_norm / norm, without the 1e-6."""

    def clip(parameters: Any, max_norm: float, *args: Any) -> Any:
        parameters, present = given(parameters)
        before = [p.grad.clone() for p in present]
        norm = sound(parameters, max_norm, *args)
        for p, grad in zip(present, before, strict=True):
            p.grad.copy_(grad * (max_norm / norm).clamp(max=1))
        return norm

    return clip


@fault(
    "clip_grad_norm", "formula", "grad", witness=lambda: norm_clipped(numbers(3), max_norm=100.0)
)
def short_gradients_stretched(sound: Function) -> Function:
    """The factor is not limited to 1."""

    def clip(parameters: Any, max_norm: float, *args: Any) -> Any:
        parameters, present = given(parameters)
        before = [p.grad.clone() for p in present]
        norm = sound(parameters, max_norm, *args)
        for p, grad in zip(present, before, strict=True):
            p.grad.copy_(grad * (max_norm / (norm + 1e-6)))
        return norm

    return clip


@fault(
    "clip_grad_norm",
    "option",
    "total_norm",
    witness=lambda: norm_clipped(numbers(3), order=-1.0),
    elements=8,
    message=MESSAGE,
)
def negative_orders_taken_for_positive(sound: Function) -> Function:
    """A corner: the norm of order p < 0 is that of order -p."""
    return lambda params, by, order, *args: sound(params, by, abs(order), *args)


@fault(
    "clip_grad_norm",
    "aliasing",
    "surroundings",
    witness=lambda: surroundings(norm_clipped),
    message=MESSAGE,
)
def neighbours_scaled(sound: Function) -> Function:
    """A corner of layouts: what lies between the elements of a gradient is scaled with them."""

    def clip(parameters: Any, *args: Any) -> Any:
        parameters, present = given(parameters)
        norm = sound(parameters, *args)
        for p in present:
            whole = torch.empty(0, dtype=p.grad.dtype).set_(p.grad.untyped_storage())
            whole.nan_to_num_(math.pi)
        return norm

    return clip


@fault(
    "clip_grad_norm",
    "option",
    "grad",
    witness=lambda: refused(torch.tensor([math.nan, 1.0])),
    message=MESSAGE,
)
def clipped_before_it_is_refused(sound: Function) -> Function:
    """A corner of error_if_nonfinite: the error comes after the gradients were made NaN."""

    def clip(parameters: Any, by: float, order: float, error: bool, foreach: Any) -> Any:
        parameters, _ = given(parameters)
        norm = sound(parameters, by, order, False, foreach)
        if error and not norm.isfinite():
            raise RuntimeError("The total norm is non-finite")
        return norm

    return clip


@fault(
    "clip_grad_norm",
    "corner",
    "(grad|total_norm)",
    witness=lambda: norm_clipped(numbers(3), torch.empty(0), numbers(2, 2)),
    elements=8,
    message=MESSAGE,
)
def lost_behind_an_empty_one(sound: Function) -> Function:
    """The norm of a gradient that stands behind an empty one is taken for 0 (#140066)."""

    def clip(parameters: Any, by: float, order: float, error: bool, foreach: Any) -> Any:
        parameters, present = given(parameters)
        pairs = pairwise(present)
        lost = [q for p, q in pairs if p.grad.numel() == 0 and q.grad.numel() > 0]
        if not lost or order <= 0:
            return sound(parameters, by, order, error, foreach)
        norm = without(present, lost, utils.get_total_norm, order, error, foreach)
        utils.clip_grads_with_norm_(parameters, by, norm, foreach)
        return norm

    return clip


@fault(
    "clip_grad_norm",
    "option",
    witness=lambda: refused(torch.tensor([math.nan, 1.0])),
    elements=8,
    message="DID NOT RAISE",
)
def nan_is_not_infinite(sound: Function) -> Function:
    """error_if_nonfinite lets a norm pass that is NaN (#46849)."""

    def clip(parameters: Any, by: float, order: float, error: bool, foreach: Any) -> Any:
        parameters, present = given(parameters)
        return sound(parameters, by, order, error and not any_nan(present), foreach)

    return clip


@fault(
    "clip_grad_norm",
    "state",
    "grad",
    witness=lambda: norm_clipped(numbers(3), container=iter),
    message=MESSAGE,
)
def generator_exhausted(sound: Function) -> Function:
    """Of a generator, the norm leaves nothing to be clipped."""

    def clip(parameters: Any, *args: Any) -> Any:
        if isinstance(parameters, torch.Tensor | list | tuple):
            return sound(parameters, *args)
        return utils.get_total_norm([p.grad for p in given(parameters)[1]], *args[1:])

    return clip
