"""The faults: what somebody could get wrong in a kernel or an optimizer, in a few lines each.

A fault is put in at torch's public entry points, while a run lasts, so that what is tested is what
the suite sees of torch. Its story says what went wrong; `found` is how the suite must tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.forward_ad import unpack_dual

Function = Callable[..., torch.Tensor]
Optimizer = torch.optim.Optimizer


@dataclass(frozen=True)
class Fault:
    """One fault, where it is put, and how it is found."""

    name: str
    component: str
    story: str
    inject: Callable[[pytest.MonkeyPatch], None]
    found: str  # a regular expression that the failure matches
    elements: int  # the arrays of the shrunk example are no larger
    dtype: str
    required: bool


FAULTS: dict[str, Fault] = {}

PLACES: dict[str, tuple[Any, str]] = {
    "linear": (F, "linear"),
    "relu": (F, "relu"),
    "cross_entropy": (F, "cross_entropy"),
    "batch_norm": (F, "batch_norm"),
    "batch_norm module": (torch.nn.BatchNorm1d, "forward"),
    "dropout": (F, "dropout"),
    "dropout2d": (F, "dropout2d"),
    "sgd": (torch.optim.SGD, "step"),
    "adam": (torch.optim.Adam, "step"),
    "adamw": (torch.optim.AdamW, "step"),
}


STATEFUL = ("batch_norm", "dropout", "dropout2d")  # must not be computed a second time


def fault(
    component: str,
    output: str,
    elements: int = 4,
    dtype: str = "float32",
    required: bool = False,
    message: str = "{component}: {output} on cpu {dtype} ",
) -> Callable[[Callable[[Function], Function]], Callable[[Function], Function]]:
    """Enter a function that makes the faulty entry point of the sound one; its docstring tells."""

    def enter(spoil: Callable[[Function], Function]) -> Callable[[Function], Function]:
        def inject(patch: pytest.MonkeyPatch) -> None:
            owner, name = PLACES[component]
            patch.setattr(owner, name, spoil(getattr(owner, name)))

        name = f"{component}-{spoil.__name__}".replace("_", "-").replace(" ", "-")
        story = (spoil.__doc__ or "").strip()
        pattern = message.format(component=component, output=output, dtype=dtype)
        assert name not in FAULTS
        FAULTS[name] = Fault(name, component, story, inject, pattern, elements, dtype, required)
        return spoil

    return enter


# The tools


class Recomputed(torch.autograd.Function):
    """A function whose gradients pass through `alter`; its value is left alone.

    Written so that `torch.func` and second derivatives find their way through it.
    """

    @staticmethod
    def forward(function: Function, alter: Any, *inputs: Any) -> torch.Tensor:
        return function(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.function, ctx.alter, *arguments = inputs
        ctx.tensors = [i for i, x in enumerate(arguments) if isinstance(x, torch.Tensor)]
        ctx.others = {i: x for i, x in enumerate(arguments) if i not in ctx.tensors}
        ctx.save_for_backward(*(arguments[i] for i in ctx.tensors))

    @staticmethod
    def again(ctx: Any, positions: list[int]) -> tuple[Function, list[Any]]:
        """The function of the inputs at some positions, and those inputs."""
        saved = {**ctx.others, **dict(zip(ctx.tensors, ctx.saved_tensors, strict=True))}

        def function(*some: torch.Tensor) -> torch.Tensor:
            inputs = saved | dict(zip(positions, some, strict=True))
            return ctx.function(*(inputs[i] for i in sorted(inputs)))

        return function, [saved[i] for i in positions]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        wanted = [i for i, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
        function, inputs = Recomputed.again(ctx, wanted)
        (grad_output,) = grad_outputs
        found = dict(zip(wanted, torch.func.vjp(function, *inputs)[1](grad_output), strict=True))
        grads = [found.get(i) for i in range(len(ctx.needs_input_grad) - 2)]
        return None, None, *ctx.alter(grads, grad_output, Recomputed.again(ctx, ctx.tensors)[1])


def altered(sound: Function, alter: Callable[..., list[Any]]) -> Function:
    """`sound`, with its list of gradients passed through alter(grads, grad_output, inputs)."""

    def function(*inputs: Any, **options: Any) -> torch.Tensor:
        forward_mode = any(
            unpack_dual(x).tangent is not None for x in inputs if isinstance(x, torch.Tensor)
        )
        if forward_mode or not torch.is_grad_enabled():
            return sound(*inputs, **options)
        return Recomputed.apply(lambda *x: sound(*x, **options), alter, *inputs)

    return function


class Misread(torch.autograd.Function):
    """Other numbers than the tensor's, with the gradient of the tensor's."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return grad_outputs[0], None


def around(
    manager: Callable[[Any], Any], only: Callable[[Any], bool] = lambda self: True
) -> Callable[[Function], Function]:
    """A `step` that runs the sound one inside a context manager given the optimizer."""

    def spoil(sound: Function) -> Function:
        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not only(self):
                return sound(self, *args, **kwargs)
            with manager(self):
                return sound(self, *args, **kwargs)

        return step

    return spoil


@contextmanager
def setting(self: Any, **options: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
    """Options of each group of parameters, replaced for a while."""
    before = [{name: group[name] for name in options} for group in self.param_groups]
    for group in self.param_groups:
        group.update({name: value(group) for name, value in options.items()})
    yield
    for group, old in zip(self.param_groups, before, strict=True):
        group.update(old)


def parameters(self: Any) -> list[torch.Tensor]:
    return [param for group in self.param_groups for param in group["params"]]


def is_adam(self: Any) -> bool:
    """AdamW is an Adam, too; but its faults are its own."""
    return not isinstance(self, torch.optim.AdamW)


# Linear


@fault("linear", "grad_bias", required=True)
def bias_gradient_of_the_first_row(sound: Function) -> Function:
    """The gradient of the bias takes the first row instead of the sum over all of them."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        if len(grads) > 2 and grads[2] is not None and grad_output.numel():
            grads[2] = grad_output.flatten(0, -2)[0].clone() if grad_output.dim() > 1 else grads[2]
        return grads

    return altered(sound, alter)


@fault("linear", "grad_bias")
def bias_gradient_averaged(sound: Function) -> Function:
    """The gradient of the bias is the mean over the rows instead of the sum."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        if len(grads) > 2 and grads[2] is not None and grad_output.numel():
            grads[2] = grads[2] / (grad_output.numel() // grad_output.shape[-1])
        return grads

    return altered(sound, alter)


@fault("linear", "(output|grad_input|grad_weight)", elements=17, required=True)
def operands_rounded_to_tf32(sound: Function) -> Function:
    """float32 operands keep 10 bits of their mantissa, as TF32 tensor cores do."""

    def rounded(x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float32:
            return x
        bits = x.detach().contiguous().view(torch.int32)
        nearest = ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
        return Misread.apply(x, torch.where(nearest.isfinite(), nearest, x.detach()))

    return lambda x, w, b=None: sound(rounded(x), rounded(w), b)


@fault("linear", "output", elements=17)
def remainder_of_17_forgotten(sound: Function) -> Function:
    """A loop over 16 lanes leaves out the last of 17 features."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        return sound(x[..., :16], w[..., :16], b) if w.shape[-1] == 17 else sound(x, w, b)

    return function


@fault("linear", "output")
def gaps_read(sound: Function) -> Function:
    """An input that is not contiguous is read as if it were, gaps included."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        room = x.untyped_storage().nbytes() // x.element_size() - x.storage_offset()
        if x.is_contiguous() or x.numel() > room:
            return sound(x, w, b)
        strides = torch.empty(x.shape, device="meta").stride()
        read = x.detach().as_strided(x.shape, strides, x.storage_offset())
        return sound(Misread.apply(x, read), w, b)

    return function


# ReLU


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


# Cross-entropy


@fault("cross_entropy", "loss", required=True)
def mean_over_n_minus_1(sound: Function) -> Function:
    """The mean divides by one row less, like a sample variance."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        n = len(input)
        return sound(input, *args, **kwargs) * (n / (n - 1) if n > 1 else 1.0)

    return function


@fault("cross_entropy", "loss")
def mean_over_classes(sound: Function) -> Function:
    """The mean divides by the number of classes instead of rows."""
    return lambda input, *args, **kwargs: (
        sound(input, *args, **kwargs) * (input.shape[0] / input.shape[1])
    )


@fault("cross_entropy", "loss")
def maximum_not_subtracted(sound: Function) -> Function:
    """exp sees the logits as they are, and overflows where they are large."""

    def function(input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.nll_loss(input - input.exp().sum(-1, keepdim=True).log(), target)

    return function


@fault("cross_entropy", "(loss|grad_input)", dtype="float64")
def float64_in_float32(sound: Function) -> Function:
    """float64 goes in and comes out, float32 is what computes."""

    def function(input: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        computed = input.float() if input.dtype == torch.float64 else input
        return sound(computed, *args, **kwargs).to(input.dtype)

    return function


# SGD


@fault("sgd", "(param|momentum_buffer)", required=True)
def gradient_dampened(sound: Function) -> Function:
    """Momentum averages: the gradient enters the buffer times 1 - momentum."""
    dampened = around(lambda self: setting(self, dampening=lambda group: group["momentum"]))
    return dampened(sound)


@fault("sgd", "(param|momentum_buffer)")
def buffer_forgotten(sound: Function) -> Function:
    """Each step starts the momentum anew."""

    @contextmanager
    def forget(self: Any) -> Iterator[None]:
        for param in parameters(self):
            self.state.get(param, {}).pop("momentum_buffer", None)
        yield

    return around(forget)(sound)


@fault("sgd", "(param|momentum_buffer)")
def last_parameter_skipped(sound: Function) -> Function:
    """Of several parameters, the last is not updated."""

    @contextmanager
    def skip(self: Any) -> Iterator[None]:
        *others, last = parameters(self)
        grad = last.grad
        last.grad = None if others else grad
        yield
        last.grad = grad

    return around(skip)(sound)


@fault("sgd", "gradient")
def gradient_scaled_in_place(sound: Function) -> Function:
    """step() leaves the gradient multiplied by the learning rate."""

    @contextmanager
    def scale(self: Any) -> Iterator[None]:
        yield
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.grad.mul_(group["lr"])

    return around(scale)(sound)


# Adam and AdamW


@fault("adam", "param", required=True)
def eps_inside_the_root(sound: Function) -> Function:
    """The step is divided by sqrt(v + eps) instead of sqrt(v) + eps."""

    @contextmanager
    def replace(self: Any) -> Iterator[None]:
        before = {param: param.detach().clone() for param in parameters(self)}
        yield
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for param in group["params"]:
                state = self.state.get(param)
                if not state or param.grad is None or param.is_complex():
                    continue
                t = float(state["step"])
                mean, square = (
                    state["exp_avg"] / (1 - beta1**t),
                    state["exp_avg_sq"] / (1 - beta2**t),
                )
                update = group["lr"] * mean / (square + group["eps"]).sqrt()
                param.data.copy_(before[param] - update)

    return around(replace, is_adam)(sound)


@fault("adam", "param")
def foreach_miscounts_from_step_3(sound: Function) -> Function:
    """The foreach path corrects its averages as one step later, from the third step on."""

    @contextmanager
    def count(self: Any) -> Iterator[None]:
        late = [
            self.state[param]["step"]
            for group in self.param_groups
            for param in group["params"]
            if group["foreach"] and param.grad is not None
            if float(self.state.get(param, {}).get("step", 0)) >= 2
        ]
        for step in late:
            step.add_(1)
        yield
        for step in late:
            step.sub_(1)

    return around(count, is_adam)(sound)


@fault("adamw", "(param|exp_avg|exp_avg_sq)", required=True)
def decay_coupled(sound: Function) -> Function:
    """The weight decay is added to the gradient, as in Adam."""
    coupled = around(lambda self: setting(self, decoupled_weight_decay=lambda group: False))
    return coupled(sound)


@fault("adamw", "param")
def decay_after_the_step(sound: Function) -> Function:
    """The parameter decays after its step instead of before: lr² times a little is off."""

    @contextmanager
    def late(self: Any) -> Iterator[None]:
        with setting(self, weight_decay=lambda group: 0.0):
            yield
        for group in self.param_groups:
            for param in group["params"]:
                param.data.mul_(1 - group["lr"] * group["weight_decay"])

    return around(late)(sound)


# The control


def unchanged(sound: Function) -> Function:
    def call(*args: Any, **options: Any) -> Any:
        return sound(*args, **options)

    return call


def inject_control(patch: pytest.MonkeyPatch) -> None:
    """Wrap everything as the faults do, and change nothing."""
    for component, (owner, name) in PLACES.items():
        sound = getattr(owner, name)
        if owner is F and component not in STATEFUL:
            wrapped = altered(sound, lambda grads, grad_output, inputs: grads)
        elif name != "step":
            wrapped = unchanged(sound)
        else:
            wrapped = around(lambda self: setting(self, lr=lambda group: group["lr"]))(sound)
        patch.setattr(owner, name, wrapped)
        assert getattr(owner, name) is wrapped, component


CONTROL = Fault("control", "", "Nothing is wrong.", inject_control, "", 0, "float32", True)
