"""Faults of Softplus."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered
from tests.meta.faults.witnesses import derivatives, numbers

PLACES["softplus"] = Place(F, "softplus", lambda: derivatives(F.softplus, numbers(9)))


@fault("softplus", "option", "(output|grad_input)", witness=lambda: F.softplus(numbers(9), 3.0))
def beta_not_divided_out(sound: Function) -> Function:
    """The output stays in units of 1 / beta."""
    return lambda x, beta=1.0, threshold=20.0: sound(x, beta, threshold) * beta


@fault("softplus", "precision", "output")
def small_exponentials_lost(sound: Function) -> Function:
    """A corner: log(1 + e) instead of log1p(e), which is 0 where e is small."""

    def function(x: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
        bent = (1 + (beta * x).exp()).log() / beta
        return torch.where(beta * x > threshold, sound(x, beta, threshold), bent)

    return function


@fault(
    "softplus", "option", "(output|grad_input)", witness=lambda: F.softplus(numbers(9), 3.0, 6.0)
)
def threshold_of_the_input(sound: Function) -> Function:
    """A corner: the threshold is compared with x, not with beta x."""
    return lambda x, beta=1.0, threshold=20.0: sound(x, beta, threshold * beta)


@fault(
    "softplus",
    "corner",
    "grad_input",
    witness=lambda: derivatives(F.softplus, torch.ones(2), 1.0, 1.0),
    elements=17,
)
def gradient_passes_at_the_threshold(sound: Function) -> Function:
    """A corner: what equals the threshold has the slope 1."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] == 1, grad_output, grads[0]), *grads[1:]]

    return altered(sound, alter)


@fault(
    "softplus",
    "autograd",
    "grad_input",
    witness=lambda: derivatives(F.softplus, torch.full((2,), 0.9), 1.0, 1.0),
)
def backward_compares_the_output(sound: Function) -> Function:
    """The backward pass holds the output against the threshold, not the input (#55587)."""

    def function(x: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
        def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
            straight = sound(inputs[0], beta, threshold) * beta > threshold
            return [torch.where(straight, grad_output, grads[0])]

        return altered(lambda x: sound(x, beta, threshold), alter)(x)

    return function


@fault(
    "softplus",
    "precision",
    "grad_input",
    witness=lambda: derivatives(F.softplus, numbers(9).half()),
    dtype="float16",
)
def slope_in_half_precision(sound: Function) -> Function:
    """In float16 the slope e / (1 + e) is computed in float16, where e is soon infinite."""

    def function(x: torch.Tensor, beta: float = 1.0, threshold: float = 20.0) -> torch.Tensor:
        def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
            e = (beta * inputs[0]).exp()
            bent = beta * inputs[0] <= threshold
            return [torch.where(bent, grad_output * e / (1 + e), grads[0])]

        half = altered(lambda x: sound(x, beta, threshold), alter)
        return half(x) if x.dtype == torch.float16 else sound(x, beta, threshold)

    return function
