"""Faults of the losses of regression, and of the two steps of cross-entropy."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import unpack_dual

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered, in_transform
from tests.meta.faults.witnesses import derivatives, labels, numbers, second_derivatives, tangents

Tensor = torch.Tensor


def errors(loss: Function, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """Loss and gradients of a loss of regression, called as its module calls it."""
    x = numbers(2, 4, dtype=dtype)
    return derivatives(loss, x, x.flip(0), **({"reduction": "mean"} | options))


def kept(function: Function, x: Tensor, *args: Any) -> Tensor:
    """The input, after the call."""
    function(x, *args)
    return x


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


@fault("mse_loss", "autograd", "grad_target")
def target_gets_zeros(sound: Function) -> Function:
    """The gradient of a target that asks for one is 0 (#3876)."""
    return altered(sound, lambda grads, *_: [grads[0], None if grads[1] is None else 0 * grads[1]])


@fault(
    "mse_loss",
    "autograd",
    "tangent",
    witness=lambda: tangents(F.mse_loss, numbers(3), -numbers(3)),
)
def target_held_in_forward_mode(sound: Function) -> Function:
    """In forward mode the loss does not move with the target."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        return sound(input, unpack_dual(target).primal, **options)

    return function


@fault(
    "mse_loss",
    "precision",
    "(loss|grad_input)",
    witness=lambda: errors(F.mse_loss, dtype=torch.float64),
    dtype="float64",
)
def errors_in_float32(sound: Function) -> Function:
    """float64 errors are rounded to float32 before they are squared."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        if input.dtype != torch.float64:
            return sound(input, target, **options)
        error = (input - target).float().double()
        return sound(error, torch.zeros_like(error), **options)

    return function
