"""Faults of gradient clipping."""

import math
from typing import Any

import torch

from tests.meta.faults.catalogue import PLACES, Function, fault

PLACES |= {
    name: (torch.nn.utils, f"{name}_" if name.startswith("clip") else name)
    for name in ("clip_grad_norm", "clip_grads_with_norm", "get_total_norm", "clip_grad_value")
}

MESSAGE = "clip_grad_norm: {output} on cpu"


def given(parameters: Any) -> tuple[Any, list[Any]]:
    """The parameters, to be handed on, and those that have gradients."""
    parameters = parameters if isinstance(parameters, torch.Tensor) else list(parameters)
    each = [parameters] if isinstance(parameters, torch.Tensor) else parameters
    return parameters, [p for p in each if p.grad is not None]


@fault("clip_grad_norm", "(grad|total_norm)", required=True)
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


@fault("clip_grad_norm", "grad", dtype="float64")
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


@fault("clip_grad_norm", "grad")
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


@fault("clip_grad_norm", "total_norm", elements=8, message=MESSAGE)
def negative_orders_taken_for_positive(sound: Function) -> Function:
    """A corner: the norm of order p < 0 is that of order -p."""
    return lambda params, by, order, *args: sound(params, by, abs(order), *args)


@fault("clip_grad_norm", "surroundings", message=MESSAGE)
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


@fault("clip_grad_norm", "grad", message=MESSAGE)
def clipped_before_it_is_refused(sound: Function) -> Function:
    """A corner of error_if_nonfinite: the error comes after the gradients were made NaN."""

    def clip(parameters: Any, by: float, order: float, error: bool, foreach: Any) -> Any:
        parameters, _ = given(parameters)
        norm = sound(parameters, by, order, False, foreach)
        if error and not norm.isfinite():
            raise RuntimeError("The total norm is non-finite")
        return norm

    return clip


@fault("get_total_norm", "(grad|total_norm)", elements=8, message=MESSAGE)
def norms_in_the_first_dtype(sound: Function) -> Function:
    """A corner of mixed dtypes: the norms are brought to the first gradient's dtype."""
    return lambda grads, *args: sound([g.to(grads[0].dtype) for g in grads], *args)


@fault("clip_grads_with_norm", "grad", required=True, message=MESSAGE)
def only_the_first_dtype_scaled(sound: Function) -> Function:
    """A corner of mixed dtypes: gradients of another dtype than the first one's are left alone."""

    def clip(parameters: Any, *args: Any) -> Any:
        _, present = given(parameters)
        return sound([p for p in present if p.dtype == present[0].dtype], *args)

    return clip


@fault("clip_grad_value", "grad", elements=32, required=True)
def cut_off_on_one_side(sound: Function) -> Function:
    """Only what is too large is cut off, and not what is too far below 0."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        for p in given(parameters)[1]:
            p.grad.clamp_(max=limit)

    return clip


@fault("clip_grad_value", "grad")
def nan_cut_off(sound: Function) -> Function:
    """A corner: NaN counts as too large."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        parameters, present = given(parameters)
        sound(parameters, limit, foreach)
        for p in present:
            p.grad.nan_to_num_(limit, math.inf, -math.inf)

    return clip


@fault("clip_grad_value", "grad")
def gradient_replaced(sound: Function) -> Function:
    """The clipped gradient is a new tensor; whoever holds the old one sees nothing of it."""

    def clip(parameters: Any, limit: float, foreach: Any) -> Any:
        for p in given(parameters)[1]:
            p.grad = p.grad.clamp(min=-limit, max=limit)

    return clip
