"""What faults are made of: gradients altered on their way, and steps with something around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch._C._functorch import TransformType
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd.forward_ad import unpack_dual

from tests.meta.faults.catalogue import Function


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
        if passes_by():
            return sound(*inputs, **options)
        forward_mode = any(
            unpack_dual(x).tangent is not None for x in inputs if isinstance(x, torch.Tensor)
        )
        in_place = any(x is True for x in (*inputs, *options.values()))
        elsewhere = torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
        if forward_mode or in_place or elsewhere or not torch.is_grad_enabled():
            return sound(*inputs, **options)
        try:
            return Recomputed.apply(lambda *x: sound(*x, **options), alter, *inputs)
        except RuntimeError as error:
            if "vmap staticmethod" not in str(error):
                raise
            return sound(*inputs, **options)

    return function


def in_transform(x: torch.Tensor) -> bool:
    """Whether a tensor is wrapped by a transform of `torch.func`, and has no memory to show."""
    if passes_by():
        return True
    try:
        return x.untyped_storage() is None
    except NotImplementedError:
        return True


def passes_by() -> bool:
    """Whether torch rewrites what is called: there, a function of Python's own has no place.

    Of `vmap` it says so nowhere in public.
    """
    if torch.compiler.is_compiling():
        return True
    return any(i.key() == TransformType.Vmap for i in retrieve_all_functorch_interpreters())


class Misread(torch.autograd.Function):
    """Other numbers than the tensor's, with the gradient of the tensor's."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        return grad_outputs[0], None


def around(
    manager: Callable[[Any], Any], only: Callable[[Any], bool] = lambda self: True
) -> Callable[[Function], Function]:
    """A `step` that runs the sound one inside a context manager given the optimizer."""

    def spoil(sound: Function) -> Function:
        @wraps(sound)  # which marks the step that is hooked already
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
