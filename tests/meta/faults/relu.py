"""Faults of ReLU."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import altered, passes_by
from tests.meta.faults.witnesses import derivatives, numbers


def in_place(x: torch.Tensor) -> Any:
    """What is returned, the gradient, and what became of the input."""
    x = x.clone()
    return F.relu(x, inplace=True), x


def kept(function: Function, x: torch.Tensor) -> torch.Tensor:
    """The input, after something was done to the output."""
    function(x).zero_()
    return x


PLACES |= {
    "relu": Place(F, "relu", lambda: derivatives(F.relu, numbers(9))),
    "relu in place": Place(torch, "relu_", lambda: in_place(numbers(9))),
    "threshold": Place(F, "threshold", lambda: derivatives(F.threshold, numbers(9), 2.0, 0.5)),
}


@fault(
    "relu",
    "corner",
    "grad_input",
    witness=lambda: derivatives(F.relu, torch.zeros(2)),
    required=True,
)
def gradient_1_at_0(sound: Function) -> Function:
    """The gradient passes at 0, where torch promises to stop it."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] == 0, grad_output, grads[0])]

    return altered(sound, alter)


@fault(
    "relu",
    "corner",
    "grad_input",
    witness=lambda: derivatives(F.relu, -torch.ones(2), back=torch.full((2,), math.inf)),
)
def gradient_times_mask(sound: Function) -> Function:
    """A NaN or infinite gradient is multiplied by 0 instead of left out: it becomes NaN."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] <= 0, (0 * grad_output).abs(), grads[0])]

    return altered(sound, alter)


@fault("relu", "corner", "output", witness=lambda: F.relu(torch.tensor(-0.0)))
def sign_of_zero_lost(sound: Function) -> Function:
    """relu(-0.0) is +0.0."""
    return lambda x, inplace=False: sound(x, inplace) + 0.0


@fault("relu in place", "aliasing", "output", message="relu: {output} on cpu {dtype} ")
def copied_in_place(sound: Function) -> Function:
    """A corner of in place: the input is left as it was, and a copy returned."""
    return lambda x: sound(x.clone())


@fault(
    "relu in place",
    "corner",
    "output",
    witness=lambda: in_place(torch.tensor(math.nan)),
    message="relu: {output} on cpu {dtype} ",
)
def nan_lost_in_place(sound: Function) -> Function:
    """A corner of in place: the larger of 0 and NaN is taken to be 0."""
    return lambda x: sound(x.masked_fill_(x.isnan(), 0.0))


@fault(
    "threshold",
    "corner",
    "(output|grad_input)",
    witness=lambda: F.threshold(torch.ones(2), 1.0, 0.5),
)
def threshold_passes_itself(sound: Function) -> Function:
    """What equals the threshold is kept."""

    def function(x: torch.Tensor, threshold: float, value: float, inplace: bool = False) -> Any:
        return torch.where(x == threshold, x, sound(x.clone(), threshold, value, inplace))

    return function


@fault("threshold", "option", "grad_input")
def gradient_of_the_threshold_at_0(sound: Function) -> Function:
    """A corner: the gradient stops below 0, wherever the threshold is."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] <= 0, 0.0, grad_output), *grads[1:]]

    return altered(sound, alter)


@fault("relu", "corner", "output", witness=lambda: F.relu(torch.tensor(math.nan)))
def nan_taken_for_0(sound: Function) -> Function:
    """The larger of 0 and NaN is 0, as it is to some vector instructions (#9319)."""
    return lambda x, inplace=False: sound(x.masked_fill(x.isnan(), 0.0), inplace)


@fault("relu", "corner", "grad_input", witness=lambda: derivatives(F.relu, torch.tensor(math.nan)))
def mask_of_what_is_above_0(sound: Function) -> Function:
    """The gradient passes where the output is above 0, which NaN is not."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0].isnan(), 0.0, grads[0])]

    return altered(sound, alter)


@fault(
    "relu",
    "precision",
    "output",
    witness=lambda: F.relu(1e5 * numbers(9).bfloat16()),
    dtype="bfloat16",
)
def bfloat16_through_float16(sound: Function) -> Function:
    """A kernel of float16 serves bfloat16, too: what is large becomes infinite."""

    def function(x: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        output = sound(x, inplace)
        return output.half().to(x.dtype) if x.dtype == torch.bfloat16 else output

    return function


@fault("relu", "aliasing", witness=lambda: kept(F.relu, numbers(3).abs()), message="relu: ")
def input_returned(sound: Function) -> Function:
    """Where nothing is cut off the output is the input itself, and not a copy."""

    def function(x: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        output = sound(x, inplace)
        return x if x.numel() and not passes_by() and bool((x > 0).all()) else output

    return function


@fault(
    "threshold",
    "option",
    "output",
    witness=lambda: F.threshold(numbers(9), 2.0, 0.5, True),
)
def value_ignored_in_place(sound: Function) -> Function:
    """In place, 0 takes the place of what is cut off, whatever was asked for."""

    def function(x: torch.Tensor, threshold: float, value: float, inplace: bool = False) -> Any:
        return sound(x, threshold, 0.0 if inplace else value, inplace)

    return function
