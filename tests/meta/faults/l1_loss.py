"""Faults of L1."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered
from tests.meta.faults.witnesses import derivatives, errors, numbers

Tensor = torch.Tensor


PLACES |= {
    "l1_loss": Place(F, "l1_loss", lambda: errors(F.l1_loss)),
}


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
