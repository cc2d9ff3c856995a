"""Faults of mixed precision: operations in the wrong dtype, and scaled steps."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.amp import GradScaler

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def under_autocast() -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return F.mse_loss(numbers(3).bfloat16(), numbers(3).bfloat16().flip(0))


def cross_entropy_under_autocast() -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return F.cross_entropy(numbers(3, 4).bfloat16(), torch.tensor([0, 1, 1]))


def batch_norm_under_autocast() -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return F.batch_norm(numbers(3, 2), None, None, training=True)


def dropout_under_autocast() -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return F.dropout(numbers(3, 4), 0.25)


def scaled(factors: tuple[float, ...] = (1.0, 1.0), **options: Any) -> Any:
    """Two optimizers after a few iterations, and the scale."""
    params = [numbers(2).requires_grad_(), numbers(3).requires_grad_()]
    opts = [torch.optim.SGD([param], lr=0.5, momentum=0.5) for param in params]
    scaler = GradScaler("cpu", 4.0, **options)
    for factor in factors:
        for opt in opts:
            opt.zero_grad()
        torch.autograd.backward(scaler.scale([factor * param.sum() for param in params]))
        for opt in opts:
            scaler.step(opt)
        scaler.update()
    return params, scaler.get_scale()


PLACES |= {
    "mse_loss under autocast": Place(F, "mse_loss", under_autocast),
    "cross_entropy under autocast": Place(F, "cross_entropy", cross_entropy_under_autocast),
    "batch_norm under autocast": Place(F, "batch_norm", batch_norm_under_autocast),
    "dropout under autocast": Place(F, "dropout", dropout_under_autocast),
    "grad_scaler step": Place(GradScaler, "step", lambda: scaled((1.0, torch.inf))),
    "grad_scaler update": Place(GradScaler, "update", lambda: scaled(growth_interval=2)),
    "grad_scaler unscale": Place(GradScaler, "unscale_", scaled),
}


@fault(
    "mse_loss under autocast",
    "precision",
    message="mse_loss under autocast: output on cpu bfloat16 .* is ",
    dtype="bfloat16",
    elements=12,
)
def left_in_the_half_type(sound: Function) -> Function:
    """A loss of half numbers runs in their dtype, though its list says float32."""

    def function(*inputs: torch.Tensor, **options: Any) -> torch.Tensor:
        kind = inputs[0].device.type
        if not torch.is_autocast_enabled(kind):
            return sound(*inputs, **options)
        with torch.autocast(kind, enabled=False):
            return sound(*inputs, **options)

    return function


@fault(
    "cross_entropy under autocast",
    "precision",
    message="cross_entropy under autocast: (output|grad_input) on cpu (float32|bfloat16) ",
    dtype="bfloat16",
    elements=12,
)
def parts_by_their_own_lists(sound: Function) -> Function:
    """Cross-entropy is taken apart, and the CPU runs log_softmax in the half type it is given."""

    def function(input: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
        if not torch.is_autocast_enabled(input.device.type):
            return sound(input, target, **options)
        return F.nll_loss(F.log_softmax(input, 1), target, **options)

    return function


def in_the_lower_precision(sound: Function) -> Function:
    """And back, so that the dtype of the result tells nothing."""

    def function(input: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
        kind = input.device.type
        if torch.is_autocast_enabled(kind) and input.dtype == torch.float32:
            input = input.to(torch.get_autocast_dtype(kind)).float()
        return sound(input, *rest, **options)

    return function


@fault(
    "batch_norm under autocast",
    "precision",
    message="batch_norm: (output|running_.*|grad_.*) on cpu float32 autocast ",
    elements=12,
)
def batch_normalised_in_the_lower_precision(sound: Function) -> Function:
    """The batch is rounded to the lower precision, as if BatchNorm were in that list."""
    return in_the_lower_precision(sound)


@fault(
    "dropout under autocast",
    "precision",
    message="dropout.*: (output|grad_input) on cpu float32 autocast ",
    elements=12,
)
def dropped_in_the_lower_precision(sound: Function) -> Function:
    """Dropout rounds what it keeps to the lower precision."""
    return in_the_lower_precision(sound)


OF_SCALER = "grad_scaler: {output} on cpu {dtype} "


@fault("grad_scaler step", "state", "(sgd|adam) .*", message=OF_SCALER, elements=5)
def skipped_step_taken(sound: Function) -> Function:
    """Infinite gradients are set to 0, and the step is taken after all."""

    def step(self: Any, optimizer: torch.optim.Optimizer, *args: Any) -> Any:
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        finite = all(grad is None or grad.isfinite().all() for grad in grads)
        result = sound(self, optimizer, *args)
        if not finite:
            for grad in grads:
                if grad is not None:
                    grad.nan_to_num_(0.0, 0.0, 0.0)
            optimizer.step()
        return result

    return step


@fault("grad_scaler update", "state", "(scale|growth tracker)", message=OF_SCALER, elements=5)
def growth_off_by_one(sound: Function) -> Function:
    """The scale grows an iteration late."""

    def update(self: Any, *args: Any) -> Any:
        interval = self.get_growth_interval()
        self.set_growth_interval(interval + 1)
        sound(self, *args)
        self.set_growth_interval(interval)

    return update


@fault("grad_scaler unscale", "state", "(sgd|adam) .*", message=OF_SCALER, elements=5)
def second_optimizer_not_unscaled(sound: Function) -> Function:
    """Only the first optimizer of an iteration has its scale taken out."""

    def unscale(self: Any, optimizer: torch.optim.Optimizer) -> Any:
        first = self.__dict__.setdefault("first_to_be_unscaled", optimizer)
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        before = [None if grad is None else grad.clone() for grad in grads]
        sound(self, optimizer)
        if optimizer is not first:
            for grad, scaled in zip(grads, before, strict=True):
                if grad is not None and scaled is not None:
                    grad.copy_(scaled)

    return unscale
