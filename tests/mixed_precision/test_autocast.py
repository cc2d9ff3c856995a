"""Autocast: which operations run in which dtype, and the bound of that dtype; both passes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.autocast import autocast_dtype
from reference.l1_loss import l1_loss, l1_loss_backward
from reference.linear import linear, linear_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.mse_loss import mse_loss, mse_loss_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward
from reference.softplus import softplus, softplus_backward
from tests.harness.formats import FORMATS
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.mixed_precision.lists import with_lists

LABELS = np.array([0, 1, 1])
ROWS, COLUMNS = 3, 4


@dataclass(frozen=True)
class Operation:
    """One of torch's, as the reference has it, and where its kernels round."""

    shapes: Mapping[str, tuple[int, ...]]  # of its inputs
    output: tuple[int, ...]
    function: Callable[..., torch.Tensor]
    forward: Callable[..., Any]
    backward: Callable[..., Any]  # of grad_output, the output and the inputs
    rounding: Callable[[str], Rounding] = Rounding.kernel
    rounding_back: Callable[[str], Rounding] = Rounding.kernel


def flushing(dtype: str) -> Rounding:
    """Processors that multiply bfloat16 matrices flush subnormal numbers."""
    return Rounding.kernel(dtype, flushes=dtype == "bfloat16")


def labels(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(LABELS).to(x.device)


def cross_entropy_by_kernels(x: Any) -> Any:
    """Two kernels: the first stores its result, the second adds up in the dtype of that."""
    y = x.rounding.stored(log_softmax(x))
    return nll_loss(Rounding.native(y.rounding.storage.name).array(y), LABELS)


def cross_entropy_backward_by_kernels(g: Any, loss: Any, x: Any) -> tuple[Any]:
    dtype = x.rounding.storage.name
    native, kernel = Rounding.native(dtype), Rounding.kernel(dtype)
    y: Any = log_softmax_rounding(dtype).stored(log_softmax(log_softmax_rounding(dtype).array(x)))
    grad: Any = native.stored(nll_loss_backward(native.array(g), native.array(y), LABELS))
    return (log_softmax_backward(kernel.array(grad), kernel.array(y)),)


def log_softmax_rounding(dtype: str) -> Rounding:
    """In half types on the CPU it stores its sum, and the logarithm of it, on the way."""
    return Rounding.kernel(dtype, stores=(np.sum, np.log))


MATRIX = (ROWS, COLUMNS)
ONE, TWO = {"input": MATRIX}, {"input": MATRIX, "target": MATRIX}
PARAMETERS = {"weight": (2, COLUMNS), "bias": (2,)}
OPERATIONS = {
    "linear": Operation(
        ONE | PARAMETERS,
        (ROWS, 2),
        F.linear,
        linear,
        lambda g, y, x, w, b: linear_backward(g, x, w),
        flushing,
        flushing,
    ),
    "relu": Operation(ONE, MATRIX, F.relu, relu, lambda g, y, x: (relu_backward(g, x),)),
    "softplus": Operation(
        ONE, MATRIX, F.softplus, softplus, lambda g, y, x: (softplus_backward(g, x),)
    ),
    "log_softmax": Operation(
        ONE,
        MATRIX,
        lambda x: F.log_softmax(x, 1),
        log_softmax,
        lambda g, y, x: (log_softmax_backward(g, y),),
        log_softmax_rounding,
    ),
    "nll_loss": Operation(
        ONE,
        (),
        lambda x: F.nll_loss(x, labels(x)),
        lambda x: nll_loss(x, LABELS),
        lambda g, y, x: (nll_loss_backward(g, x, LABELS),),
        Rounding.native,
        Rounding.native,
    ),
    "cross_entropy": Operation(
        ONE,
        (),
        lambda x: F.cross_entropy(x, labels(x)),
        cross_entropy_by_kernels,
        cross_entropy_backward_by_kernels,
        log_softmax_rounding,
    ),
    "mse_loss": Operation(
        TWO,
        (),
        lambda x, t: F.mse_loss(x, t),  # noqa: PLW0108  (looked up when it is called)
        mse_loss,
        lambda g, y, x, t: mse_loss_backward(g, x, t),
        Rounding.op_by_op,
        Rounding.op_by_op,
    ),
    "l1_loss": Operation(
        TWO,
        (),
        F.l1_loss,
        l1_loss,
        lambda g, y, x, t: l1_loss_backward(g, x, t),
        Rounding.op_by_op,
        Rounding.op_by_op,
    ),
}

REGIONS = {
    "enabled": (True,),
    "disabled": (False,),
    "disabled within": (True, False),
    "enabled again": (True, False, True),
}
"""The regions around a call, from the outermost."""


@dataclass(frozen=True)
class AutocastCase:
    """An operation, what it is given, and the regions it is called in."""

    operation: str
    inputs: dict[str, DrawnArray]
    grad_output: DrawnArray
    lower: str
    regions: str
    cache: bool


@st.composite
def autocast_cases(draw: st.DrawFn) -> AutocastCase:
    name = draw(st.sampled_from(tuple(OPERATIONS)))
    operation, family = OPERATIONS[name], draw(st.sampled_from(("uniform", "integers", "wide")))
    return AutocastCase(
        name,
        {n: draw(arrays(shape, family, special=0)) for n, shape in operation.shapes.items()},
        draw(arrays(operation.output, "uniform", special=0)),
        draw(st.sampled_from(("bfloat16", "float16"))),
        draw(st.sampled_from(tuple(REGIONS))),
        draw(st.booleans()),
    )


@given(case=autocast_cases())
def test_an_operation_runs_in_the_dtype_that_its_list_says(
    targets: Targets, case: AutocastCase
) -> None:
    for given_dtype, of_devices in with_lists(targets).by_dtype(case.lower):
        for target in of_devices:
            for region in dict.fromkeys(("enabled", case.regions)):
                runs_in, device = given_dtype, target.device_type
                if REGIONS[region][-1]:
                    runs_in = autocast_dtype(case.operation, given_dtype, case.lower, device)
                verify(case, target, region, runs_in)


def verify(case: AutocastCase, target: Target, region: str, runs_in: str) -> None:
    component = f"{case.operation} under autocast"
    at = replace(target, dtype=runs_in)
    output, expected = reference(case, target.dtype, runs_in)
    leaves = {name: x.tensor(target).requires_grad_() for name, x in case.inputs.items()}
    with ExitStack() as entered:
        for enabled in REGIONS[region]:
            dtype = getattr(torch, case.lower)
            options: dict[str, Any] = {"enabled": enabled, "cache_enabled": case.cache}
            entered.enter_context(torch.autocast(target.device_type, dtype, **options))
        y = OPERATIONS[case.operation].function(*leaves.values())
    y.backward(case.grad_output.tensor(at))
    check(component, "output", at, y, output)
    for name, leaf in leaves.items():
        check(component, f"grad_{name}", target, leaf.grad, expected[name])


def reference(
    case: AutocastCase, given_dtype: str, runs_in: str
) -> tuple[Rounded, dict[str, Rounded]]:
    """What is given, rounded to the dtype in which it runs; and the gradients rounded back."""
    operation = OPERATIONS[case.operation]
    numbers = [FORMATS[runs_in].round(x.numbers(given_dtype)) for x in case.inputs.values()]
    forward, back = operation.rounding(runs_in), operation.rounding_back(runs_in)
    output = forward.stored(operation.forward(*map(forward.array, numbers)))
    given_back = back.array(case.grad_output.numbers(runs_in))
    grads = operation.backward(given_back, back.array(output), *map(back.array, numbers))
    return output, {
        name: cast(back.stored(grad), given_dtype)
        for name, grad in zip(case.inputs, grads, strict=True)
    }


def cast(x: Rounded, dtype: str) -> Rounded:
    """A copy in another dtype: one rounding, and none where it holds more."""
    rounding = Rounding.kernel(dtype)
    if rounding.storage.precision >= x.rounding.storage.precision:
        return Rounded(rounding, x.value, x.closed_bound, None, 0, x.last_bit, x.selected)
    return rounding.stored(Rounded(rounding, x.value, x.closed_bound, None, 0, x.last_bit))
