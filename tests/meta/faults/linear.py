"""Faults of Linear."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import Misread, altered, in_transform
from tests.meta.faults.witnesses import derivatives, numbers


def given_back() -> torch.Tensor:
    """The gradient that was given, after the backward pass."""
    back = numbers(3, 2)
    derivatives(F.linear, numbers(3, 4), numbers(2, 4), back=back)
    return back


PLACES["linear"] = Place(
    F, "linear", lambda: derivatives(F.linear, numbers(3, 4), numbers(2, 4), numbers(2))
)


def as_if_contiguous(x: torch.Tensor) -> torch.Tensor:
    """The numbers that lie behind one another from the first one of a tensor on, gaps included."""
    if x.is_contiguous():
        return x
    if in_transform(x):
        return x
    if x.numel() > x.untyped_storage().nbytes() // x.element_size() - x.storage_offset():
        return x
    strides = torch.empty(x.shape, device="meta").stride()
    return Misread.apply(x, x.detach().as_strided(x.shape, strides, x.storage_offset()))


@fault("linear", "formula", "grad_bias", required=True)
def bias_gradient_of_the_first_row(sound: Function) -> Function:
    """The gradient of the bias takes the first row instead of the sum over all of them."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        if len(grads) > 2 and grads[2] is not None and grad_output.numel():
            grads[2] = grad_output.flatten(0, -2)[0].clone() if grad_output.dim() > 1 else grads[2]
        return grads

    return altered(sound, alter)


@fault("linear", "formula", "grad_bias")
def bias_gradient_averaged(sound: Function) -> Function:
    """The gradient of the bias is the mean over the rows instead of the sum."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        if len(grads) > 2 and grads[2] is not None and grad_output.numel():
            grads[2] = grads[2] / (grad_output.numel() // grad_output.shape[-1])
        return grads

    return altered(sound, alter)


@fault("linear", "precision", "(output|grad_input|grad_weight)", elements=48, required=True)
def operands_rounded_to_tf32(sound: Function) -> Function:
    """float32 operands keep 10 bits of their mantissa, as TF32 tensor cores do."""

    def rounded(x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float32:
            return x
        bits = x.detach().contiguous().view(torch.int32)
        nearest = ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)
        return Misread.apply(x, torch.where(nearest.isfinite(), nearest, x.detach()))

    return lambda x, w, b=None: sound(rounded(x), rounded(w), b)


@fault(
    "linear",
    "corner",
    "output",
    witness=lambda: derivatives(F.linear, numbers(2, 17), numbers(3, 17)),
    elements=17,
)
def remainder_of_17_forgotten(sound: Function) -> Function:
    """A loop over 16 lanes leaves out the last of 17 features."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        return sound(x[..., :16], w[..., :16], b) if w.shape[-1] == 17 else sound(x, w, b)

    return function


@fault("linear", "corner", "output", witness=lambda: F.linear(numbers(4, 3).T, numbers(2, 4)))
def gaps_read(sound: Function) -> Function:
    """An input that is not contiguous is read as if it were, gaps included."""
    return lambda x, w, b=None: sound(as_if_contiguous(x), w, b)


@fault(
    "linear", "corner", "output", witness=lambda: F.linear(numbers(2, 0), numbers(3, 0), numbers(3))
)
def bias_lost_without_in_features(sound: Function) -> Function:
    """A corner: a sum over no features is 0, and the bias is forgotten."""
    return lambda x, w, b=None: sound(x, w, None if w.shape[-1] == 0 else b)


@fault(
    "linear",
    "corner",
    "grad_weight",
    witness=lambda: derivatives(
        lambda x, w: F.linear(x, w, numbers(2)), numbers(3, 4), numbers(2, 4)
    ),
)
def weight_gradient_needs_the_bias(sound: Function) -> Function:
    """A corner: with a frozen bias, the weight's gradient is that of the first row alone."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        frozen = len(inputs) > 2 and grads[2] is None
        if frozen and grads[1] is not None and grads[1].numel() and grad_output.numel():
            x, g = (t.reshape(-1, t.shape[-1])[:1] for t in (inputs[0], grad_output))
            grads[1] = g.T @ x
        return grads

    return altered(sound, alter)


@fault(
    "linear",
    "corner",
    "(output|grad_input|grad_weight)",
    witness=lambda: F.linear(numbers(2, 3, 1, 1, 4), numbers(2, 4)),
    elements=32,
)
def second_dimension_taken_for_the_first(sound: Function) -> Function:
    """A corner: in five dimensions, the first two change places."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        if x.dim() < 5:
            return sound(x, w, b)
        output = sound(x.transpose(0, 1), w, b)
        return output.reshape(*x.shape[:-1], -1) if output.numel() else sound(x, w, b)

    return function


@fault(
    "linear",
    "autograd",
    witness=lambda: F.linear(numbers(3, 4), numbers(2, 4)),
    message="the output on cpu float32 .* requires a gradient that nobody asked",
)
def frozen_and_recorded(sound: Function) -> Function:
    """A corner: where all inputs are frozen, the output asks for a gradient all the same."""

    def function(*inputs: torch.Tensor) -> torch.Tensor:
        output = sound(*inputs)
        return output if output.requires_grad else output.requires_grad_()

    return function


@fault("linear", "corner", "output", witness=lambda: F.linear(numbers(3, 4), numbers(4, 2).T))
def gaps_of_the_weight_read(sound: Function) -> Function:
    """A weight that is not contiguous is read as if it were (#51713)."""
    return lambda x, w, b=None: sound(x, as_if_contiguous(w), b)


@fault(
    "linear",
    "precision",
    "output",
    witness=lambda: F.linear(numbers(3, 4).bfloat16(), numbers(2, 4).bfloat16()),
    dtype="bfloat16",
)
def half_sums_stored(sound: Function) -> Function:
    """bfloat16 sums are stored in bfloat16 half way, where float32 should hold them to the end."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        if x.dtype != torch.bfloat16 or w.shape[-1] < 2:
            return sound(x, w, b)
        return sound(x[..., ::2], w[..., ::2]) + sound(x[..., 1::2], w[..., 1::2], b)

    return function


@fault("linear", "precision", "output")
def four_ulp_too_large(sound: Function) -> Function:
    """float32 results are four units in the last place too large."""

    def function(*inputs: torch.Tensor) -> torch.Tensor:
        output = sound(*inputs)
        return output * (1 + 4 * 2.0**-23) if output.dtype == torch.float32 else output

    return function


@fault(
    "linear",
    "precision",
    "grad_(input|weight|bias)",
    witness=lambda: derivatives(F.linear, numbers(3, 4).double(), numbers(2, 4).double()),
    dtype="float64",
)
def gradients_through_float32(sound: Function) -> Function:
    """The backward pass of float64 is computed in float32, and the forward pass is not."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        return [g if g is None else g.float().to(g.dtype) for g in grads]

    return altered(sound, alter)


@fault(
    "linear",
    "corner",
    "(output|grad_bias)",
    witness=lambda: F.linear(numbers(3, 4), numbers(1, 4), numbers(1)),
)
def bias_added_twice_to_a_dot_product(sound: Function) -> Function:
    """One output feature has a kernel of its own, to which the bias is given and then added."""

    def function(x: torch.Tensor, w: torch.Tensor, b: Any = None) -> torch.Tensor:
        output = sound(x, w, b)
        return output + b if b is not None and w.dim() == 2 and len(w) == 1 else output

    return function


@fault(
    "linear",
    "corner",
    "grad_weight",
    witness=lambda: derivatives(
        F.linear, numbers(3, 4), numbers(2, 4), back=torch.ones(1).expand(3, 2)
    ),
)
def expanded_gradient_counted_once(sound: Function) -> Function:
    """A gradient that is one row standing for all, as that of a sum is, counts as one row."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        rows = grad_output.dim() == 2 and grad_output.stride(0) == 0 and len(grad_output) > 1
        if rows and grads[1] is not None:
            grads[1] = grad_output[:1].T @ inputs[0][:1]
        return grads

    return altered(sound, alter)


@fault(
    "linear",
    "aliasing",
    witness=given_back,
    message="grad_output on cpu float32 .* was written to",
)
def gradient_scaled_where_it_lies(sound: Function) -> Function:
    """The backward pass uses the gradient that it is given as its scratch memory."""

    def alter(grads: list[Any], grad_output: torch.Tensor, inputs: Any) -> list[Any]:
        if not in_transform(grad_output):
            grad_output.data.mul_(2)
        return grads

    return altered(sound, alter)
