"""Faults of cross-entropy."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import derivatives, labels, numbers

Tensor = torch.Tensor


def loss(input: Tensor, target: Tensor, **options: Any) -> Any:
    """Loss and gradients, called as the module calls it."""
    defaults = {"weight": None, "ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
    return derivatives(F.cross_entropy, input, target, **(defaults | options))


PLACES["cross_entropy"] = Place(F, "cross_entropy", lambda: loss(numbers(4, 3), labels(4, 3)))


@fault("cross_entropy", "formula", "loss", required=True)
def mean_over_n_minus_1(sound: Function) -> Function:
    """The mean divides by one row less, like a sample variance."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        n = len(input)
        average = kwargs.get("reduction") == "mean" and n > 1
        return sound(input, *args, **kwargs) * (n / (n - 1) if average else 1.0)

    return function


@fault("cross_entropy", "formula", "loss")
def mean_over_classes(sound: Function) -> Function:
    """The mean divides by the number of classes instead of rows."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        average = kwargs.get("reduction") == "mean" and input.dim() == 2
        loss = sound(input, *args, **kwargs)
        return loss * (input.shape[0] / input.shape[1] if average else 1.0)

    return function


@fault("cross_entropy", "precision", "loss")
def maximum_not_subtracted(sound: Function) -> Function:
    """exp sees the logits as they are, and overflows where they are large."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        if input.shape == target.shape or options.pop("label_smoothing") > 0:
            return sound(input, target, **options)
        total = input.exp().sum(int(input.dim() > 1), keepdim=True)
        return F.nll_loss(input - total.log(), target, **options)

    return function


@fault(
    "cross_entropy",
    "precision",
    "(loss|grad_input)",
    witness=lambda: loss(numbers(4, 3, dtype=torch.float64), labels(4, 3)),
    dtype="float64",
)
def float64_in_float32(sound: Function) -> Function:
    """float64 goes in and comes out, float32 is what computes."""

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = [input, *args, *kwargs.values()]
        computed = [
            x.float() if isinstance(x, torch.Tensor) and x.dtype == torch.float64 else x
            for x in given
        ]
        named = dict(zip(kwargs, computed[1 + len(args) :], strict=True))
        return sound(*computed[: 1 + len(args)], **named).to(input.dtype)

    return function


@fault(
    "cross_entropy",
    "option",
    "(loss|grad_input)",
    witness=lambda: loss(numbers(4, 3), torch.tensor([0, -100, 2, 1])),
)
def ignored_rows_counted(sound: Function) -> Function:
    """The mean divides by all rows, those that are ignored among them."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        averaged = options.get("reduction") == "mean" and options["weight"] is None
        if input.shape == target.shape or not averaged or not target.numel():
            return sound(input, target, **options)
        return sound(input, target, **{**options, "reduction": "sum"}) / target.numel()

    return function


@fault(
    "cross_entropy",
    "option",
    "(loss|grad_input)",
    witness=lambda: loss(numbers(4, 3), labels(4, 3), label_smoothing=0.25),
)
def smoothed_to_the_other_classes(sound: Function) -> Function:
    """Label smoothing gives its share to the other C - 1 classes, instead of all C."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        classes = input.shape[min(input.dim() - 1, 1)]
        if classes > 1:
            share = options["label_smoothing"] * classes / (classes - 1)
            options["label_smoothing"] = min(share, 1.0)
        return sound(input, target, **options)

    return function


@fault(
    "cross_entropy",
    "option",
    "(loss|grad_input|grad_target)",
    witness=lambda: loss(numbers(4, 3), numbers(4, 3).softmax(1), weight=numbers(3).abs()),
)
def weights_divide_probabilities(sound: Function) -> Function:
    """The mean over probabilities divides by the weights that they select, as that over labels."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        loss = sound(input, target, **options)
        weight: Any = options.get("weight")
        of_rows = input.shape == target.shape and input.dim() == 2
        if weight is None or not of_rows or options["reduction"] != "mean":
            return loss
        return loss * len(input) / weight[target.argmax(1)].sum()

    return function


@fault(
    "cross_entropy",
    "option",
    "(loss|grad_input)",
    witness=lambda: loss(
        numbers(4, 3), torch.tensor([0, -100, 2, 1]), label_smoothing=0.25, reduction="sum"
    ),
)
def ignored_rows_smoothed(sound: Function) -> Function:
    """The share of each class in a smoothed label counts for ignored rows, too (#73205)."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        result = sound(input, target, **options)
        if input.shape == target.shape or input.dim() < 2 or options["reduction"] == "mean":
            return result
        weight = torch.ones(input.shape[1], dtype=input.dtype)
        weight = weight if options["weight"] is None else options["weight"]
        shares = -(input.log_softmax(1).movedim(1, -1) @ weight) / input.shape[1]
        ignored = target == options.get("ignore_index", -100)
        extra = torch.where(ignored, shares * options["label_smoothing"], 0.0)
        return result + (extra if options["reduction"] == "none" else extra.sum())

    return function


@fault(
    "cross_entropy",
    "autograd",
    "grad_target",
    witness=lambda: loss(numbers(4, 3), numbers(4, 3).softmax(1)),
)
def probabilities_get_zeros(sound: Function) -> Function:
    """The gradient of a target that asks for one is 0."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        soft = input.shape == target.shape
        return sound(input, target.detach() + 0 * target if soft else target, **options)

    return function


@fault("cross_entropy", "precision", "loss")
def loss_stored_in_bfloat16(sound: Function) -> Function:
    """A float32 loss has the digits of bfloat16."""

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        result = sound(input, target, **options)
        return result.bfloat16().float() if result.dtype == torch.float32 else result

    return function


@fault(
    "cross_entropy",
    "state",
    "(loss|grad_input)",
    witness=lambda: [
        loss(numbers(4, 3), labels(4, 3), weight=weight) for weight in numbers(2, 3).abs()
    ],
)
def first_weights_remembered(sound: Function) -> Function:
    """Class weights are prepared once for each number of classes, and then used again."""
    prepared: dict[Any, Any] = {}

    def function(input: Tensor, target: Tensor, **options: Any) -> Tensor:
        if (weight := options.get("weight")) is not None:
            options["weight"] = prepared.setdefault((weight.shape, weight.dtype), weight.clone())
        return sound(input, target, **options)

    return function
