"""Faults of nll_loss."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import derivatives, labels, numbers

Tensor = torch.Tensor


PLACES |= {
    "nll_loss": Place(F, "nll_loss", lambda: derivatives(F.nll_loss, numbers(4, 3), labels(4, 3))),
}


@fault(
    "nll_loss",
    "option",
    "(loss|grad_input)",
    witness=lambda: F.nll_loss(numbers(4, 3), labels(4, 3), weight=numbers(3).abs()),
)
def mean_without_weights(sound: Function) -> Function:
    """The mean divides by the number of rows that count, not by their weights."""

    def function(
        input: Tensor, target: Tensor, *, reduction: str = "mean", **options: Any
    ) -> Tensor:
        if reduction != "mean":
            return sound(input, target, reduction=reduction, **options)
        count = (target != options.get("ignore_index", -100)).sum()
        return sound(input, target, reduction="sum", **options) / count

    return function


@fault(
    "nll_loss",
    "option",
    "(loss|grad_input)",
    witness=lambda: F.nll_loss(numbers(4, 3), labels(4, 3), ignore_index=1),
)
def classes_are_never_ignored(sound: Function) -> Function:
    """An ignore_index that is a class is not looked at."""

    def function(
        input: Tensor, target: Tensor, *, ignore_index: int = -100, **options: Any
    ) -> Tensor:
        index = -100 if 0 <= ignore_index < input.shape[min(input.dim() - 1, 1)] else ignore_index
        return sound(input, target, ignore_index=index, **options)

    return function


@fault(
    "nll_loss",
    "corner",
    "(loss|grad_input)",
    witness=lambda: F.nll_loss(numbers(65, 3), labels(65, 3), reduction="sum"),
    elements=1024,
)
def rows_beyond_a_block_are_lost(sound: Function) -> Function:
    """A loop in blocks of 64 rows leaves out the rest, where there is more than one block."""

    def function(
        input: Tensor, target: Tensor, *, reduction: str = "mean", **options: Any
    ) -> Tensor:
        if input.dim() == 2 and len(input) > 64 and reduction == "sum":
            whole = slice(len(input) // 64 * 64)
            input, target = input[whole], target[whole]
        return sound(input, target, reduction=reduction, **options)

    return function


@fault(
    "nll_loss",
    "corner",
    "loss",
    witness=lambda: F.nll_loss(numbers(4, 3), labels(4, 3), ignore_index=1, reduction="none"),
)
def ignored_rows_not_written(sound: Function) -> Function:
    """Without a reduction, rows that are ignored hold what was there before (#20406)."""

    def function(input: Tensor, target: Tensor, *args: Any, **options: Any) -> Tensor:
        loss = sound(input, target, *args, **options)
        ignored = target == options.get("ignore_index", -100)
        return loss.masked_fill(ignored, math.nan) if options["reduction"] == "none" else loss

    return lambda input, target, *args, **options: function(
        input, target, *args, **({"reduction": "mean"} | options)
    )


@fault(
    "nll_loss",
    "autograd",
    "grad_input",
    witness=lambda: derivatives(
        F.nll_loss, numbers(4, 3), labels(4, 3), weight=numbers(3).abs(), reduction="sum"
    ),
)
def weights_left_out_of_the_gradient(sound: Function) -> Function:
    """The backward pass is that of a loss without weights."""

    def function(input: Tensor, target: Tensor, *, weight: Any = None, **options: Any) -> Tensor:
        loss = sound(input, target, weight=weight, **options)
        plain = sound(input, target, **options)
        return loss if weight is None else loss.detach() + (plain - plain.detach())

    return function
