"""Faults of the two halves of clipping by the norm."""

import math
from typing import Any

import torch
from torch.nn import utils

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.clip_grad_norm import MESSAGE, given, parameters
from tests.meta.faults.witnesses import numbers


def scaled(*grads: torch.Tensor) -> Any:
    utils.clip_grads_with_norm_(parameters(*grads), 1.0, torch.tensor(2.0), None)
    return grads


PLACES |= {
    "get_total_norm": Place(
        utils, "get_total_norm", lambda: utils.get_total_norm([numbers(3), numbers(2, 2)], 2.0)
    ),
    "clip_grads_with_norm": Place(
        utils, "clip_grads_with_norm_", lambda: scaled(numbers(3), numbers(2, 2))
    ),
}


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
        if order != math.inf or len(grads) < 2 or any(grad.numel() == 0 for grad in grads):
            return sound(grads, order, *args)
        norms = [sound([grad], order, *args) for grad in grads]
        return torch.stack([norm.to(norms[0].dtype) for norm in norms]).sum()

    return total
