"""Faults of ReLU."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, altered, fault

PLACES |= {"relu in place": (torch, "relu_"), "threshold": (F, "threshold")}


@fault("relu", "grad_input", required=True)
def gradient_1_at_0(sound: Function) -> Function:
    """The gradient passes at 0, where torch promises to stop it."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] == 0, grad_output, grads[0])]

    return altered(sound, alter)


@fault("relu", "grad_input")
def gradient_times_mask(sound: Function) -> Function:
    """A NaN or infinite gradient is multiplied by 0 instead of left out: it becomes NaN."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] <= 0, (0 * grad_output).abs(), grads[0])]

    return altered(sound, alter)


@fault("relu", "output")
def sign_of_zero_lost(sound: Function) -> Function:
    """relu(-0.0) is +0.0."""
    return lambda x, inplace=False: sound(x, inplace) + 0.0


@fault("relu in place", "output", message="relu: {output} on cpu {dtype} ", required=True)
def copied_in_place(sound: Function) -> Function:
    """A corner of in place: the input is left as it was, and a copy returned."""
    return lambda x: sound(x.clone())


@fault("relu in place", "output", message="relu: {output} on cpu {dtype} ")
def nan_lost_in_place(sound: Function) -> Function:
    """A corner of in place: the larger of 0 and NaN is taken to be 0."""
    return lambda x: sound(x.masked_fill_(x.isnan(), 0.0))


@fault("threshold", "(output|grad_input)", required=True)
def threshold_passes_itself(sound: Function) -> Function:
    """What equals the threshold is kept."""

    def function(x: torch.Tensor, threshold: float, value: float, inplace: bool = False) -> Any:
        return torch.where(x == threshold, x, sound(x.clone(), threshold, value, inplace))

    return function


@fault("threshold", "grad_input")
def gradient_of_the_threshold_at_0(sound: Function) -> Function:
    """A corner: the gradient stops below 0, wherever the threshold is."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [torch.where(inputs[0] <= 0, 0.0, grad_output), *grads[1:]]

    return altered(sound, alter)
