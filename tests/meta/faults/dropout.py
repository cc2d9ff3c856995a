"""Faults of dropout."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import derivatives, numbers

Tensor = torch.Tensor

PLACES |= {
    "dropout": Place(F, "dropout", lambda: derivatives(F.dropout, numbers(4, 5))),
    "dropout2d": Place(F, "dropout2d", lambda: derivatives(F.dropout2d, numbers(2, 3, 2, 2))),
}


@fault("dropout", "formula", "(output|grad_input)")
def not_scaled(sound: Function) -> Function:
    """What is kept is not divided by the probability to be kept."""

    def function(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        output = sound(x, p, training, inplace)
        return output * (1 - p) if training else output

    return function


@fault("dropout", "autograd", "grad_input")
def gradient_not_scaled(sound: Function) -> Function:
    """The gradient is passed on where the mask is 1, but not scaled."""

    def function(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        output = sound(x, p, training, inplace)
        scaled = output * (1 - p) if training else output
        return scaled + (output - scaled).detach()

    return function


@fault("dropout", "formula", "(rows|output|grad_input)")
def one_mask_for_every_row(sound: Function) -> Function:
    """A corner of batches: the first row's mask is used for all of them."""

    def function(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if x.dim() < 2 or not len(x):
            return sound(x, p, training, inplace)
        return x * sound(torch.ones_like(x[:1]), p, training, inplace)

    return function


@fault("dropout", "corner", "(output|grad_input)", witness=lambda: F.dropout(numbers(4, 5), 1.0))
def everything_dropped_is_kept(sound: Function) -> Function:
    """A corner: p = 1 is taken for p = 0."""
    return lambda x, p=0.5, *args, **options: sound(x, 0.0 if p == 1 else p, *args, **options)


@fault("dropout2d", "formula", "(output|grad_input)", elements=16)
def positions_dropped_one_by_one(sound: Function) -> Function:
    """Numbers are dropped instead of channels."""

    def function(x: Tensor, *args: Any, **options: Any) -> Tensor:
        return torch.nn.functional.dropout(x, *args, **options)

    return function


@fault(
    "dropout",
    "state",
    message="dropout: calls on cpu",
    witness=lambda: [F.dropout(numbers(40)) for _ in range(2)],
)
def the_same_numbers_each_time(sound: Function) -> Function:
    """Random numbers are drawn, and the generator is left where it was."""

    def function(x: Tensor, *args: Any, **options: Any) -> Tensor:
        before = torch.get_rng_state()
        output = sound(x, *args, **options)
        torch.set_rng_state(before)
        return output

    return function


@fault(
    "dropout",
    "option",
    "(output|grad_input)",
    witness=lambda: F.dropout(numbers(4, 5), 0.5, False),
)
def evaluation_ignored(sound: Function) -> Function:
    """In evaluation numbers are dropped as in training."""
    return lambda x, p=0.5, training=True, inplace=False: sound(x, p, True, inplace)


@fault("dropout", "corner", "(output|grad_input)", witness=lambda: F.dropout(numbers(4), 0.0))
def nothing_kept_at_0(sound: Function) -> Function:
    """p = 0, where nothing is to be dropped, drops everything (#77933)."""
    return lambda x, p=0.5, training=True, *args: sound(x, p or float(training), training, *args)


@fault("dropout", "precision", "(output|grad_input)", witness=lambda: F.dropout(numbers(40), 0.3))
def probability_of_8_bits(sound: Function) -> Function:
    """The probability is rounded to a multiple of 1/256."""
    return lambda x, p=0.5, *args: sound(x, round(256 * p) / 256, *args)


@fault("dropout2d", "formula", message="dropout2d: (rows|neighbours|kept) on cpu")
def the_batch_dropped_together(sound: Function) -> Function:
    """A channel that is dropped is dropped from every image of the batch."""

    def function(x: Tensor, *args: Any, **options: Any) -> Tensor:
        if x.dim() < 4 or not len(x):
            return sound(x, *args, **options)
        return x * sound(torch.ones_like(x[:1]), *args, **options)

    return function
