"""Faults of clipping by value."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import utils

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.clip_grad_norm import given, parameters
from tests.meta.faults.witnesses import numbers


def value_clipped(*grads: torch.Tensor) -> Any:
    params = parameters(*grads)
    utils.clip_grad_value_(params, 0.5, None)
    return [param.grad for param in params]


def whoever_holds_it(clip: Callable[[torch.Tensor], Any]) -> Any:
    """A gradient that somebody else holds as well."""
    grad = numbers(3)
    clip(grad)
    return grad


PLACES |= {
    "clip_grad_value": Place(
        utils, "clip_grad_value_", lambda: value_clipped(numbers(3), numbers(2, 2))
    ),
}


@fault("clip_grad_value", "formula", "grad", elements=32)
def cut_off_on_one_side(sound: Function) -> Function:
    """Only what is too large is cut off, and not what is too far below 0."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        for p in given(parameters)[1]:
            p.grad.clamp_(max=limit)

    return clip


@fault(
    "clip_grad_value",
    "corner",
    "grad",
    witness=lambda: value_clipped(torch.tensor([math.nan, 1.0])),
)
def nan_cut_off(sound: Function) -> Function:
    """A corner: NaN counts as too large."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        parameters, present = given(parameters)
        sound(parameters, limit, foreach)
        for p in present:
            p.grad.nan_to_num_(limit, math.inf, -math.inf)

    return clip


@fault("clip_grad_value", "aliasing", "grad", witness=lambda: whoever_holds_it(value_clipped))
def gradient_replaced(sound: Function) -> Function:
    """The clipped gradient is a new tensor; whoever holds the old one sees nothing of it."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        for p in given(parameters)[1]:
            p.grad = p.grad.clamp(min=-limit, max=limit)

    return clip


@fault(
    "clip_grad_value",
    "corner",
    "grad",
    witness=lambda: value_clipped(numbers(3), numbers(3).bfloat16()),
    elements=32,
)
def only_the_first_group_cut_off(sound: Function) -> Function:
    """Gradients of another dtype than the first one's are a group of their own, and forgotten."""

    def clip(parameters: Any, *args: Any) -> Any:
        _, present = given(parameters)
        sound([p for p in present if p.grad.dtype == present[0].grad.dtype], *args)

    return clip
