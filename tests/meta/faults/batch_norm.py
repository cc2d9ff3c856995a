"""Faults of BatchNorm, written out in torch's own operations where a kernel has no handle."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import Misread
from tests.meta.faults.witnesses import derivatives, numbers

Tensor = torch.Tensor


def normalised(x: Tensor, training: bool = True, momentum: float = 0.25) -> Any:
    """Output, gradients and running statistics."""
    mean, var, vector = numbers(3), numbers(3).abs(), numbers(3)

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps=0.7)

    return derivatives(function, x, vector, vector), mean, var


def lived(module: torch.nn.Module) -> Any:
    """What a module gives and keeps, in training and in evaluation."""
    outputs = [module(numbers(6, 3)), module(numbers(4, 3)), module.eval()(numbers(2, 3))]
    return outputs, module.state_dict()


PLACES |= {
    "batch_norm": Place(F, "batch_norm", lambda: normalised(numbers(6, 3))),
    "batch_norm module": Place(
        torch.nn.BatchNorm1d, "forward", lambda: lived(torch.nn.BatchNorm1d(3))
    ),
}


def axes(x: Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


def beside(vector: Tensor | None, x: Tensor, absent: float = 0.0) -> Any:
    return absent if vector is None else vector.reshape(1, -1, *(1,) * (x.dim() - 2))


def formula(x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Tensor:
    normal = (x - beside(mean, x)) / (beside(var, x) + eps).sqrt()
    return normal * beside(weight, x, 1.0) + beside(bias, x)


def trains(x: Tensor, training: bool) -> bool:
    return training and x.numel() > 0


def by_position(function: Function) -> Function:
    """F.batch_norm with all of its arguments in their places."""

    def call(
        input: Tensor,
        running_mean: Any,
        running_var: Any,
        weight: Any = None,
        bias: Any = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        return function(input, running_mean, running_var, weight, bias, training, momentum, eps)

    return call


@fault("batch_norm", "state", "running_var", elements=8)
def running_variance_biased(sound: Function) -> Function:
    """The running variance follows the biased one."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        if not trains(x, training) or var is None:
            return sound(x, mean, var, weight, bias, training, *args)
        n = x.numel() // x.shape[1]
        sound(x.detach() * ((n - 1) / n) ** 0.5, mean.clone(), var, None, None, True, *args)
        return sound(x, mean, var.clone(), weight, bias, training, *args)

    return by_position(function)


@fault("batch_norm", "formula", "(output|grad_input)", elements=256)
def normalised_by_the_unbiased_variance(sound: Function) -> Function:
    """The batch is divided by its unbiased standard deviation."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        if not trains(x, training):
            return sound(x, mean, var, weight, bias, training, *args)
        sound(x.detach(), mean, var, weight, bias, training, *args)
        return formula(x, x.mean(axes(x)), x.var(axes(x)), weight, bias, args[1])

    return by_position(function)


@fault("batch_norm", "autograd", "grad_input", elements=64)
def mean_held_in_the_backward(sound: Function) -> Function:
    """The gradient takes the batch's mean for a constant."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        output = sound(x, mean, var, weight, bias, training, *args)
        if not trains(x, training):
            return output
        center = x.mean(axes(x)).detach()
        variance = ((x - beside(center, x)) ** 2).mean(axes(x))
        other = formula(x, center, variance, weight, bias, args[1])
        return output.detach() + (other - other.detach())

    return by_position(function)


@fault("batch_norm", "option", "output", witness=lambda: normalised(numbers(6, 3), training=False))
def evaluated_by_the_batch(sound: Function) -> Function:
    """Evaluation normalises with the batch's own statistics."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        if training or x.numel() <= x.shape[1]:
            return sound(x, mean, var, weight, bias, training, *args)
        return sound(x, None, None, weight, bias, True, *args)

    return by_position(function)


@fault("batch_norm", "precision", "(output|grad_input)", elements=64)
def variance_by_the_mean_square(sound: Function) -> Function:
    """A corner: var = E[x^2] - E[x]^2, in float32, right until the mean is large."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        if not trains(x, training):
            return sound(x, mean, var, weight, bias, training, *args)
        sound(x.detach(), mean, var, weight, bias, training, *args)
        center = x.mean(axes(x))
        cancelled = ((x**2).mean(axes(x)) - center**2).clamp(min=0)
        return formula(x, center, cancelled, weight, bias, args[1])

    return by_position(function)


@fault(
    "batch_norm",
    "corner",
    "running_(mean|var)",
    witness=lambda: normalised(numbers(0, 3)),
    elements=64,
)
def empty_batch_counted(sound: Function) -> Function:
    """A corner: an empty batch pulls the running statistics towards 0."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        if training and x.numel() == 0 and mean is not None:
            mean.mul_(1 - args[0])
            var.mul_(1 - args[0])
        return sound(x, mean, var, weight, bias, training, *args)

    return by_position(function)


@fault(
    "batch_norm module",
    "option",
    "running_(mean|var)",
    witness=lambda: lived(torch.nn.BatchNorm1d(3, momentum=None)),
    elements=8,
    message="batch_norm: {output} on cpu",
)
def no_momentum_taken_for_a_tenth(sound: Function) -> Function:
    """A module with momentum=None averages as with 0.1."""

    def forward(self: Any, input: Tensor) -> Tensor:
        momentum, self.momentum = self.momentum, self.momentum or 0.1
        try:
            return sound(self, input)
        finally:
            self.momentum = momentum

    return forward


@fault(
    "batch_norm",
    "option",
    "running_(mean|var)",
    witness=lambda: normalised(numbers(6, 3), momentum=0.0),
)
def no_momentum_at_0(sound: Function) -> Function:
    """A momentum of 0 is falsy, and the default takes its place."""

    def function(*args: Any) -> Tensor:
        *others, momentum, eps = args
        return sound(*others, momentum or 0.1, eps)

    return by_position(function)


@fault(
    "batch_norm",
    "state",
    "running_(mean|var)",
    witness=lambda: normalised(numbers(6, 3), training=False),
    elements=64,
)
def statistics_follow_in_evaluation(sound: Function) -> Function:
    """The running statistics go on following the batches in evaluation."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        output = sound(x, mean, var, weight, bias, training, *args)
        if not training and mean is not None and x.numel() > x.shape[1]:
            sound(x.detach(), mean, var, None, None, True, *args)
        return output

    return by_position(function)


@fault(
    "batch_norm",
    "autograd",
    "grad_input",
    witness=lambda: normalised(numbers(6, 3), training=False),
    elements=64,
)
def evaluation_walked_back_as_training(sound: Function) -> Function:
    """In evaluation the gradient takes the statistics for those of the batch (#586)."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        output = sound(x, mean, var, weight, bias, training, *args)
        if training or x.numel() <= x.shape[1]:
            return output
        trained = sound(x, None, None, weight, bias, True, *args)
        return output.detach() + (trained - trained.detach())

    return by_position(function)


@fault(
    "batch_norm",
    "corner",
    "output",
    witness=lambda: normalised(numbers(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)),
    elements=64,
)
def channels_last_read_as_contiguous(sound: Function) -> Function:
    """Images with their channels innermost are read as if they were not (#62594)."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        innermost = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        if innermost and not x.is_contiguous():
            x = Misread.apply(x, x.detach().movedim(1, -1).reshape(x.shape))
        return sound(x, mean, var, weight, bias, training, *args)

    return by_position(function)


@fault("batch_norm", "precision", "(output|grad_input|grad_weight)", elements=64)
def eps_rounded_to_bfloat16(sound: Function) -> Function:
    """eps keeps eight digits of its mantissa."""

    def function(*args: Any) -> Tensor:
        return sound(*args[:-1], torch.tensor(args[-1], dtype=torch.bfloat16).item())

    return by_position(function)


@fault(
    "batch_norm",
    "corner",
    witness=lambda: normalised(numbers(1, 3)),
    message="DID NOT RAISE",
)
def one_value_per_channel_trained_on(sound: Function) -> Function:
    """Training on one value for each channel gives 0, and is not refused."""

    def function(
        x: Tensor, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Tensor:
        one = training and x.numel() == x.shape[1]
        return (
            sound(x, mean, var, weight, bias, training and not one, *args)
            if mean is not None or not one
            else 0 * x
        )

    return by_position(function)


@fault(
    "batch_norm module",
    "state",
    message="batches tracked",
)
def batches_counted_in_evaluation(sound: Function) -> Function:
    """num_batches_tracked counts batches in evaluation as well."""

    def forward(self: Any, input: Tensor) -> Tensor:
        if not self.training and self.track_running_stats:
            self.num_batches_tracked.add_(1)
        return sound(self, input)

    return forward
