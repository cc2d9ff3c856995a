"""Faults of the losses of regression, and of the two steps of cross-entropy."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered
from tests.meta.faults.witnesses import derivatives, labels, numbers, second_derivatives

Tensor = torch.Tensor


def errors(loss: Function, **options: Any) -> Any:
    """Loss and gradients of a loss of regression, called as its module calls it."""
    x = numbers(2, 4)
    return derivatives(loss, x, x.flip(0), **({"reduction": "mean"} | options))


PLACES |= {
    "log_softmax": Place(F, "log_softmax", lambda: derivatives(F.log_softmax, numbers(3, 4), 1)),
    "nll_loss": Place(F, "nll_loss", lambda: derivatives(F.nll_loss, numbers(4, 3), labels(4, 3))),
    "mse_loss": Place(F, "mse_loss", lambda: errors(F.mse_loss)),
    "l1_loss": Place(F, "l1_loss", lambda: errors(F.l1_loss)),
}

# log_softmax


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


# nll_loss


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


# MSE and L1


@fault("mse_loss", "formula", "(grad_input|grad_target)")
def factor_2_lost(sound: Function) -> Function:
    """The derivative of a square is taken for the number itself."""
    return altered(sound, lambda grads, *_: [g if g is None else g / 2 for g in grads])


@fault("mse_loss", "formula", "loss")
def mean_over_rows(sound: Function) -> Function:
    """The mean divides by the number of rows instead of elements."""

    def function(input: Tensor, *args: Any, **options: Any) -> Tensor:
        loss = sound(input, *args, **options)
        several = options["reduction"] == "mean" and input.dim() > 1 and input.numel()
        return loss * (input.numel() / len(input)) if several else loss

    return function


@fault("mse_loss", "option", "loss", witness=lambda: errors(F.mse_loss, weight=numbers(2, 4).abs()))
def weights_left_out_of_the_mean(sound: Function) -> Function:
    """With weights, the mean divides by the number of elements."""

    def function(input: Tensor, target: Tensor, *, weight: Any = None, **options: Any) -> Tensor:
        loss = sound(input, target, weight=weight, **options)
        if weight is None or options["reduction"] != "mean":
            return loss
        return sound(input, target, reduction="none", weight=weight).mean()

    return function


@fault(
    "mse_loss",
    "autograd",
    "second grad_input",
    witness=lambda: second_derivatives(lambda x: F.mse_loss(x, torch.ones(3)), numbers(3)),
)
def curvature_lost(sound: Function) -> Function:
    """The double backward takes the errors for constants."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        def alter(grads: list[Any], grad_output: Tensor, inputs: Any) -> list[Any]:
            still = (x.detach() for x in inputs)
            held = torch.func.vjp(lambda x, t: sound(x, t, **options), *still)[1](grad_output)
            return [g if g is None else h for g, h in zip(grads, held, strict=True)]

        return altered(lambda x, t: sound(x, t, **options), alter)(input, target)

    return function


@fault(
    "l1_loss",
    "corner",
    "(grad_input|grad_target)",
    witness=lambda: derivatives(F.l1_loss, numbers(3), numbers(3)),
)
def kink_takes_a_side(sound: Function) -> Function:
    """Where the error is 0 the gradient is that of a positive one."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        def alter(grads: list[Any], grad_output: Tensor, inputs: Any) -> list[Any]:
            x, t = inputs
            positive = torch.func.vjp(lambda x, t: sound(x, t, **options), t + 1, t)[1](grad_output)
            return [
                g if g is None else torch.where(x == t, p, g)
                for g, p in zip(grads, positive, strict=True)
            ]

        return altered(lambda x, t: sound(x, t, **options), alter)(input, target)

    return function


@fault("l1_loss", "formula", "grad_target")
def target_pulled_away(sound: Function) -> Function:
    """The gradient of the target has the sign of the prediction's."""
    return altered(sound, lambda grads, *_: [grads[0], None if grads[1] is None else -grads[1]])


@fault(
    "l1_loss",
    "formula",
    "(loss|grad_input|grad_target)",
    witness=lambda: F.l1_loss(numbers(3), numbers(3) + 1 / 16),
)
def nearly_right_near_0(sound: Function) -> Function:
    """Errors below 1/8 are squared, as in a Huber loss."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        near = (input - target).abs() < 1 / 8
        return sound(torch.where(near, target + (input - target) ** 2, input), target, **options)

    return function
