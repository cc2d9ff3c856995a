"""The faults: what somebody could get wrong in a kernel or an optimizer, in a few lines each.

A fault is put in at torch's public entry points, while a run lasts, so that what is tested is what
the suite sees of torch. Its story says what went wrong; `found` is how the suite must tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
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
        in_place = any(x is True for x in (*inputs, *options.values()))
        if forward_mode or in_place or not torch.is_grad_enabled():
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


def stepping(self: Any) -> Iterator[tuple[dict[str, Any], Any, dict[str, Any]]]:
    """The group, the parameter and the state of those that have a gradient."""
    for group in self.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                yield group, param, self.state.get(param, {})


def is_adam(self: Any) -> bool:
    """AdamW is an Adam, too; but its faults are its own."""
    return not isinstance(self, torch.optim.AdamW)


# The control


def unchanged(sound: Function) -> Function:
    @wraps(sound)  # pytest tells functions apart by their names
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
