"""A training step in mixed precision: autocast, a scaled loss, and float32 parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.autocast import autocast_dtype
from reference.grad_scaler import unscale
from reference.linear import linear, linear_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.mlp import Parameters
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward
from reference.sgd import sgd_step
from tests.harness.border import to_numpy
from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, exactly
from tests.mixed_precision.lists import with_lists
from tests.mixed_precision.test_autocast import cast, flushing

SCALE, LR = 64.0, 0.5  # a power of two: it rounds nothing away, and nothing here overflows
LOWER = ("bfloat16", "float16")


class Small(DrawnArray):
    """Numbers below 1, that the probabilities be no certainties."""

    def numbers(self, dtype: str) -> np.ndarray:
        return super().numbers(dtype) / 16


@dataclass(frozen=True)
class StepCase:
    """The parameters of the network of the MNIST check, and a batch."""

    parameters: dict[str, DrawnArray]
    images: DrawnArray
    labels: tuple[int, ...]


@st.composite
def step_cases(draw: st.DrawFn) -> StepCase:
    rows, pixels, hidden, classes = (draw(st.integers(1, most)) for most in (5, 9, 9, 5))
    shapes = (hidden, pixels), (hidden,), (classes, hidden), (classes,)
    family = draw(st.sampled_from(("uniform", "integers")))
    batch, *drawn = (
        Small(**vars(draw(arrays(shape, family, "contiguous", special=0))))
        for shape in ((rows, pixels), *shapes)
    )
    labels = draw(st.tuples(*rows * [st.integers(0, classes - 1)]))
    return StepCase(dict(zip(Parameters._fields, drawn, strict=True)), batch, labels)


@settings(max_examples=settings().max_examples // 2)
@given(case=step_cases())
def test_a_step_under_autocast_equals_the_reference(targets: Targets, case: StepCase) -> None:
    for device in with_lists(targets).devices if "float32" in targets.dtypes else ():
        for lower in LOWER:
            target = Target(device, "float32", lower)
            params = {n: x.tensor(target).requires_grad_() for n, x in case.parameters.items()}
            labels = torch.tensor(case.labels, device=device)
            opt = torch.optim.SGD(params.values(), lr=LR, foreach=False)
            scaler = torch.amp.GradScaler(target.device_type, SCALE)
            weight1, bias1, weight2, bias2 = params.values()
            with torch.autocast(target.device_type, getattr(torch, lower)):
                hidden = F.relu(F.linear(case.images.tensor(target), weight1, bias1))
                loss = F.cross_entropy(F.linear(hidden, weight2, bias2), labels)
            scaler.scale(loss).backward()
            scaler.step(opt)
            expected = reference(case, lower, target.device_type)
            check("step under autocast", "loss", target, loss, expected["loss"])
            for name, param in params.items():
                check("step under autocast", name, target, param, expected[name])


def reference(case: StepCase, lower: str, device: str) -> dict[str, Any]:
    """Each operation in the dtype of its list, between casts."""
    products, half, float32 = flushing(lower), Rounding.kernel(lower), Rounding.kernel("float32")
    masters = {name: x.numbers("float32") for name, x in case.parameters.items()}
    x, weight1, bias1, weight2, bias2 = (
        products.array(FORMATS[lower].round(numbers))
        for numbers in (case.images.numbers("float32"), *masters.values())
    )
    labels = np.array(case.labels)

    hidden_input: Any = products.stored(linear(x, weight1, bias1))
    hidden = products.array(relu(half.array(hidden_input)))
    logits: Any = products.stored(linear(hidden, weight2, bias2))
    scores = float32.array(cast(logits, autocast_dtype("cross_entropy", lower, lower, device)))
    y = float32.array(float32.stored(log_softmax(scores)))
    loss = float32.stored(nll_loss(y, labels))

    grad: Any = float32.stored(nll_loss_backward(float32.array(SCALE), y, labels))
    grad = cast(float32.stored(log_softmax_backward(float32.array(grad), y)), lower)
    grads2 = linear_backward(products.array(grad), hidden, weight2)
    grad_hidden, *of_layer2 = (products.stored(g) for g in grads2)
    grad = relu_backward(half.array(grad_hidden), half.array(hidden_input))
    _, *of_layer1 = linear_backward(products.array(half.stored(grad)), x, weight1)

    found: dict[str, Any] = {"loss": loss}
    scaled: Any = [cast(products.stored(g), "float32") for g in (*of_layer1, *of_layer2)]
    unscaled, _ = unscale([float32.array(g) for g in scaled], SCALE)
    for (name, master), g in zip(masters.items(), unscaled, strict=True):
        step = sgd_step(float32.array(master), float32.array(float32.stored(g)), lr=LR)
        found[name] = float32.stored(step[0])
    return found


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("lower", LOWER)
def test_a_weight_that_is_used_twice_is_cast_once(
    targets: Targets, lower: str, cache: bool
) -> None:
    """So its two gradients, 1 and a quarter ulp of 1, meet in the lower precision.

    Without the cache each is cast back to float32 on its own, and there their sum is exact.
    """
    small = float(FORMATS[lower].ulp(np.asarray(1.0))) / 4
    for device in with_lists(targets).devices if "float32" in targets.dtypes else ():
        target = Target(device, "float32", lower)
        weight = torch.ones(1, 1, device=device, requires_grad=True)
        ones = torch.ones(1, 1, device=device)
        with torch.autocast(target.device_type, getattr(torch, lower), cache_enabled=cache):
            once, again = F.linear(ones, weight), F.linear(small * ones, weight)
        torch.autograd.backward([once, again], [torch.ones_like(once)] * 2)
        assert weight.grad is not None
        exactly("weight under autocast", "grad", target, weight.grad, [[1 + small * (not cache)]])


def test_a_function_of_ones_own_runs_in_the_dtype_it_asks_for(targets: Targets) -> None:
    """`custom_fwd` casts its inputs and leaves autocast; `custom_bwd` finds the same again."""
    seen: dict[str, tuple[torch.dtype, bool]] = {}

    for device in with_lists(targets).devices:
        kind = device.partition(":")[0]

        class Own(torch.autograd.Function):
            @staticmethod
            @torch.amp.custom_fwd(device_type=kind, cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
            def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
                seen["forward"] = x.dtype, torch.is_autocast_enabled(x.device.type)
                return x.clone()

            @staticmethod
            @torch.amp.custom_bwd(device_type=kind)  # type: ignore[untyped-decorator]
            def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
                seen["backward"] = grads[0].dtype, torch.is_autocast_enabled(grads[0].device.type)
                return grads[0]

        x = torch.tensor([1.0], dtype=torch.bfloat16, device=device, requires_grad=True)
        with torch.autocast(kind, torch.bfloat16):
            y = Own.apply(x)
            y.backward(torch.tensor([3.0], device=device))
        assert seen == dict.fromkeys(("forward", "backward"), (torch.float32, False))
        assert x.grad is not None
        assert to_numpy(x.grad).tolist() == [3.0]
