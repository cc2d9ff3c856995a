"""Faults of gradient clipping."""

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


def scaled(*grads: torch.Tensor) -> Any:
    utils.clip_grads_with_norm_(parameters(*grads), 1.0, torch.tensor(2.0), None)
    return grads


def value_clipped(*grads: torch.Tensor) -> Any:
    params = parameters(*grads)
    utils.clip_grad_value_(params, 0.5, None)
    return [param.grad for param in params]


def surroundings(clip: Callable[[torch.Tensor], Any]) -> Any:
    """All of the memory of which a gradient is a part."""
    memory = torch.full((3,), math.nan)
    memory[1] = 4.0
    clip(memory[1:2])
    return memory


def whoever_holds_it(clip: Callable[[torch.Tensor], Any]) -> Any:
    """A gradient that somebody else holds as well."""
    grad = numbers(3)
    clip(grad)
    return grad


PLACES |= {
    "clip_grad_norm": Place(
        utils, "clip_grad_norm_", lambda: norm_clipped(numbers(3), numbers(2, 2))
    ),
    "get_total_norm": Place(
        utils, "get_total_norm", lambda: utils.get_total_norm([numbers(3), numbers(2, 2)], 2.0)
    ),
    "clip_grads_with_norm": Place(
        utils, "clip_grads_with_norm_", lambda: scaled(numbers(3), numbers(2, 2))
    ),
    "clip_grad_value": Place(
        utils, "clip_grad_value_", lambda: value_clipped(numbers(3), numbers(2, 2))
    ),
}

MESSAGE = "clip_grad_norm: {output} on cpu"


def given(parameters: Any) -> tuple[Any, list[Any]]:
    """The parameters, to be handed on, and those that have gradients."""
    parameters = parameters if isinstance(parameters, torch.Tensor) else list(parameters)
    each = [parameters] if isinstance(parameters, torch.Tensor) else parameters
    return parameters, [p for p in each if p.grad is not None]


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
    "get_total_norm",
    "precision",
    "(grad|total_norm)",
    witness=lambda: torch.nn.utils.get_total_norm([numbers(3).bfloat16(), numbers(3)], 2.0),
    elements=8,
    message=MESSAGE,
)
def norms_in_the_first_dtype(sound: Function) -> Function:
    """A corner of mixed dtypes: the norms are brought to the first gradient's dtype."""
    return lambda grads, *args: sound([g.to(grads[0].dtype) for g in grads], *args)


@fault(
    "clip_grads_with_norm",
    "corner",
    "grad",
    witness=lambda: scaled(numbers(3).bfloat16(), numbers(3)),
    message=MESSAGE,
)
def only_the_first_dtype_scaled(sound: Function) -> Function:
    """A corner of mixed dtypes: gradients of another dtype than the first one's are left alone."""

    def clip(parameters: Any, *args: Any) -> Any:
        _, present = given(parameters)
        return sound([p for p in present if p.dtype == present[0].dtype], *args)

    return clip


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


def without(params: Any, left_out: Any, norm_of: Function, *options: Any) -> torch.Tensor:
    """The norm of the gradients that are not left out."""
    grads = [p.grad for p in params if not any(p is q for q in left_out)]
    return norm_of(grads, *options)


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


def any_nan(params: Any) -> bool:
    return any(bool(p.grad.isnan().any()) for p in params)


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


@fault(
    "get_total_norm",
    "precision",
    "total_norm",
    witness=lambda: utils.get_total_norm([numbers(3).double(), numbers(2).double()], 2.0),
    dtype="float64",
    message=MESSAGE,
)
def norms_in_float32(sound: Function) -> Function:
    """The norms of float64 gradients are gathered in float32."""

    def total(grads: Any, *args: Any) -> Any:
        norm = sound(grads, *args)
        return norm.float().double() if norm.dtype == torch.float64 else norm

    return total


@fault(
    "get_total_norm",
    "option",
    "(grad|total_norm)",
    witness=lambda: utils.get_total_norm([numbers(3), numbers(2, 2)], math.inf),
    elements=8,
    message=MESSAGE,
)
def maxima_added_up(sound: Function) -> Function:
    """The infinity norm of all gradients is the sum of their norms, instead of the largest."""

    def total(grads: Any, order: float = 2.0, *args: Any) -> Any:
        grads = list(grads)
        if order != math.inf or len(grads) < 2:
            return sound(grads, order, *args)
        norms = [sound([grad], order, *args) for grad in grads]
        return torch.stack([norm.to(norms[0].dtype) for norm in norms]).sum()

    return total


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
