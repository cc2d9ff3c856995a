"""Faults of ReLU."""

from typing import Any

import torch

from tests.meta.faults.catalogue import Function, altered, fault


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
