"""Faults of log_softmax."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered, in_transform
from tests.meta.faults.witnesses import derivatives, numbers

Tensor = torch.Tensor


def kept(function: Function, x: Tensor, *args: Any) -> Tensor:
    """The input, after the call."""
    function(x, *args)
    return x


PLACES |= {
    "log_softmax": Place(F, "log_softmax", lambda: derivatives(F.log_softmax, numbers(3, 4), 1)),
}


@fault(
    "log_softmax",
    "option",
    "(output|grad_input)",
    witness=lambda: F.log_softmax(numbers(2, 3, 4), -1),
)
def dimensions_counted_from_the_front(sound: Function) -> Function:
    """A negative dim is taken for a positive one, if there is such."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        return sound(input, -dim if -input.dim() < dim < 0 else dim, **options)

    return function


@fault(
    "log_softmax",
    "corner",
    "output",
    witness=lambda: F.log_softmax(torch.tensor([0.0, -math.inf]), 0),
)
def masked_scores_are_not_numbers(sound: Function) -> Function:
    """A score of minus infinity has no probability at all, instead of 0."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        return sound(input, dim, **options).masked_fill(input == -math.inf, math.nan)

    return function


@fault(
    "log_softmax",
    "corner",
    "grad_input",
    witness=lambda: derivatives(F.log_softmax, numbers(2, 17), 1),
    elements=64,
)
def last_class_lost_beyond_vectors(sound: Function) -> Function:
    """Of more than 16 classes, an odd last one is not in the sum of the gradient."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        def alter(grads: list[Any], grad_output: Tensor, inputs: Any) -> list[Any]:
            last = grad_output.narrow(dim, -1, 1)
            return [grads[0] + sound(inputs[0], dim).exp() * last]

        lost = input.shape[dim] > 16 and input.shape[dim] % 2 == 1
        return (
            altered(lambda x: sound(x, dim), alter)(input) if lost else sound(input, dim, **options)
        )

    return function


@fault("log_softmax", "precision", "output")
def maximum_added_to_the_sum(sound: Function) -> Function:
    """x - (m + log sum) instead of (x - m) - log sum: large scores lose digits (#38839)."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        most = input.amax(dim, keepdim=True).detach()
        total = (input - most).exp().sum(dim, keepdim=True)
        return input - (most + total.log())

    return function


@fault(
    "log_softmax",
    "corner",
    "output",
    witness=lambda: F.log_softmax(numbers(2, 257), 1),
    elements=2048,
)
def odd_rows_summed_short(sound: Function) -> Function:
    """Of an odd number of scores above 200 (#143644: above 512) the last is not in the sum."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        side = input.shape[dim]
        if side < 200 or side % 2 == 0:
            return sound(input, dim, **options)
        first = input.narrow(dim, 0, side - 1)
        return input - first.logsumexp(dim, keepdim=True)

    return function


@fault(
    "log_softmax",
    "aliasing",
    witness=lambda: kept(F.log_softmax, numbers(3, 4), 1),
    message="input on cpu float32 .* was written to",
)
def maximum_subtracted_where_it_lies(sound: Function) -> Function:
    """The maximum is subtracted from the scores in the memory of whoever gave them."""

    def function(input: Tensor, dim: int, **options: Any) -> Tensor:
        output = sound(input, dim, **options)
        if not in_transform(input):
            input.data.sub_(input.data.amax(dim, keepdim=True))
        return output

    return function
