"""Faults of cross-entropy."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import Function, fault


@fault("cross_entropy", "loss", required=True)
def mean_over_n_minus_1(sound: Function) -> Function:
    """The mean divides by one row less, like a sample variance."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        n = len(input)
        return sound(input, *args, **kwargs) * (n / (n - 1) if n > 1 else 1.0)

    return function


@fault("cross_entropy", "loss")
def mean_over_classes(sound: Function) -> Function:
    """The mean divides by the number of classes instead of rows."""
    return lambda input, *args, **kwargs: (
        sound(input, *args, **kwargs) * (input.shape[0] / input.shape[1])
    )


@fault("cross_entropy", "loss")
def maximum_not_subtracted(sound: Function) -> Function:
    """exp sees the logits as they are, and overflows where they are large."""

    def function(input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.nll_loss(input - input.exp().sum(-1, keepdim=True).log(), target)

    return function


@fault("cross_entropy", "(loss|grad_input)", dtype="float64")
def float64_in_float32(sound: Function) -> Function:
    """float64 goes in and comes out, float32 is what computes."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        computed = input.float() if input.dtype == torch.float64 else input
        return sound(computed, *args, **kwargs).to(input.dtype)

    return function
