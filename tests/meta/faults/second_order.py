"""Faults of forward mode and of the double backward, which no first derivative shows."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import make_dual, unpack_dual

from tests.meta.faults.catalogue import Function, fault
from tests.meta.faults.tools import altered
from tests.meta.faults.witnesses import labels, numbers, second_derivatives, tangents


def in_forward_mode(sound: Function, alter: Function) -> Function:
    """`sound`, with the tangent of its output passed through alter(tangent, tangents of inputs)."""

    def function(*inputs: Any, **options: Any) -> torch.Tensor:
        output, tangent = unpack_dual(sound(*inputs, **options))
        if tangent is None:
            return output
        return make_dual(output, alter(tangent, *(unpack_dual(x).tangent for x in inputs)))

    return function


@fault(
    "linear",
    "autograd",
    "tangent",
    witness=lambda: tangents(F.linear, numbers(3, 4), numbers(2, 4), numbers(2)),
)
def tangent_of_the_bias_lost(sound: Function) -> Function:
    """In forward mode the output does not move with the bias."""
    return in_forward_mode(sound, lambda tangent, input, weight, bias: tangent - bias)


@fault(
    "linear",
    "autograd",
    "second grad_weight",
    witness=lambda: second_derivatives(F.linear, numbers(3, 4), numbers(2, 4)),
)
def weight_held_in_the_backward(sound: Function) -> Function:
    """The gradient of the input is computed with a copy of the weight: it forgets where from."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        held = grad_output @ inputs[1].detach()
        return [None if grads[0] is None else held, *grads[1:]]

    return altered(sound, alter)


@fault("relu", "autograd", "tangent", witness=lambda: tangents(F.relu, numbers(9)))
def tangent_passes_below_0(sound: Function) -> Function:
    """In forward mode the output moves with the input even where it is 0."""
    return in_forward_mode(sound, lambda tangent, input: input)


@fault(
    "cross_entropy",
    "autograd",
    "second grad_input",
    witness=lambda: second_derivatives(F.cross_entropy, numbers(4, 3), labels(4, 3)),
)
def scores_held_in_the_backward(sound: Function) -> Function:
    """The second derivative of log_softmax lacks the term through which one score moves others."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        scores, target = inputs

        def backward(x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
            return torch.func.vjp(lambda x: sound(x, target), x)[1](g)[0]

        def first_term(second: list[Any], direction: torch.Tensor, moving: Any) -> list[Any]:
            x, g = moving
            return [g / max(1, len(x)) * x.softmax(1) * direction, second[1]]

        return [altered(backward, first_term)(scores, grad_output), None]

    faulty = altered(sound, alter)
    return lambda *inputs, **options: sound(*inputs, **options) if options else faulty(*inputs)


@fault(
    "batch_norm",
    "autograd",
    "tangent",
    witness=lambda: tangents(
        partial(F.batch_norm, running_mean=None, running_var=None, training=True, eps=1.0),
        numbers(6, 3),
    ),
)
def statistics_held_in_forward_mode(sound: Function) -> Function:
    """In forward mode mean and variance of the batch do not move with the batch."""

    def function(input: torch.Tensor, *rest: Any, eps: float, **options: Any) -> torch.Tensor:
        still, moves = unpack_dual(input)
        if moves is None:
            return sound(input, *rest, eps=eps, **options)
        over = [0, *range(2, input.dim())]
        var, mean = torch.var_mean(still, over, correction=0)
        return sound(input, mean, var, *rest[2:], training=False, eps=eps)

    return function
