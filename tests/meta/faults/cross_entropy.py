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
        average = kwargs.get("reduction") == "mean" and n > 1
        return sound(input, *args, **kwargs) * (n / (n - 1) if average else 1.0)

    return function


@fault("cross_entropy", "loss")
def mean_over_classes(sound: Function) -> Function:
    """The mean divides by the number of classes instead of rows."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        average = kwargs.get("reduction") == "mean" and input.dim() == 2
        loss = sound(input, *args, **kwargs)
        return loss * (input.shape[0] / input.shape[1] if average else 1.0)

    return function


@fault("cross_entropy", "loss")
def maximum_not_subtracted(sound: Function) -> Function:
    """exp sees the logits as they are, and overflows where they are large."""

    def function(input: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
        if input.shape == target.shape or options.pop("label_smoothing") > 0:
            return sound(input, target, **options)
        total = input.exp().sum(int(input.dim() > 1), keepdim=True)
        return F.nll_loss(input - total.log(), target, **options)

    return function


@fault("cross_entropy", "(loss|grad_input)", dtype="float64")
def float64_in_float32(sound: Function) -> Function:
    """float64 goes in and comes out, float32 is what computes."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        given = [input, *args, *kwargs.values()]
        computed = [
            x.float() if isinstance(x, torch.Tensor) and x.dtype == torch.float64 else x
            for x in given
        ]
        named = dict(zip(kwargs, computed[1 + len(args) :], strict=True))
        return sound(*computed[: 1 + len(args)], **named).to(input.dtype)

    return function
