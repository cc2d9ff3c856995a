"""Faults of MSE."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import unpack_dual

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered
from tests.meta.faults.witnesses import errors, numbers, second_derivatives, tangents

Tensor = torch.Tensor


PLACES |= {
    "mse_loss": Place(F, "mse_loss", lambda: errors(F.mse_loss)),
}


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
