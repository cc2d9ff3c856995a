"""BatchNorm: one batch, in training and evaluation, through every door and option."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_norm import values_per_channel
from tests.harness.doors import DOORS, gradients
from tests.harness.formats import FORMATS
from tests.harness.rounded import Rounded
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels, has_channels_last, is_dense

MODULES = {
    2: torch.nn.BatchNorm1d,
    3: torch.nn.BatchNorm1d,
    4: torch.nn.BatchNorm2d,
    5: torch.nn.BatchNorm3d,
}
MEMORY_FORMATS = {
    2: (torch.contiguous_format,),
    3: (torch.contiguous_format,),
    4: (torch.contiguous_format, torch.channels_last),
    5: (torch.contiguous_format, torch.channels_last_3d),
}
"""By the dimensions of the input. What comes in one of the formats leaves in it."""

families = st.sampled_from(("integers", "dyadic", "uniform", "wide", "offset", "plateau"))
momenta = st.sampled_from((0.1, 0.0, 1.0, 0.5)) | st.floats(0, 1)
epsilons = st.sampled_from((1e-5, 1.0, 2.0**-10, 1e-8)) | st.floats(1e-8, 1)


@dataclass(frozen=True)
class BatchNormCase:
    """A batch, the layer's parameters and statistics, and the gradient that comes back."""

    input: DrawnArray
    grad_output: DrawnArray
    weight: DrawnArray | None
    bias: DrawnArray | None
    running: tuple[DrawnArray, DrawnArray] | None  # mean, and the variance but for its sign
    training: bool
    momentum: float
    eps: float
    mixed: bool  # everything that has one number per channel is float32
    frozen: tuple[str, ...]

    @property
    def of_batch(self) -> bool:
        """Whether the batch's own statistics normalise it."""
        return self.training or self.running is None


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """(N, C, *positions), at most 4096 numbers; rows or positions may be none."""
    channels = draw(sides(at_least=1, at_most=65))
    shape: tuple[int, ...] = (draw(sides(at_most=257)), channels)
    for _ in range(draw(st.integers(0, 3))):
        shape += (draw(sides(at_most=4096 // max(1, math.prod(shape)))),)
    return shape


@st.composite
def vectors(draw: st.DrawFn, channels: int) -> DrawnArray:
    """A finite number for each channel, in memory that may be written to."""
    family = draw(st.sampled_from(("integers", "dyadic", "uniform", "wide")))
    layout = draw(st.sampled_from(("contiguous", "contiguous", "strided")))
    return draw(arrays((channels,), family, layout, special=False))


@st.composite
def batch_norm_cases(draw: st.DrawFn) -> BatchNormCase:
    shape = draw(shapes())
    channels = vectors(shape[1])
    running = draw(st.none() | st.tuples(channels, channels))
    training = draw(st.booleans())
    if values_per_channel(np.empty(shape)) == 1:  # cannot be trained on
        running, training = draw(st.tuples(channels, channels)), False
    return BatchNormCase(
        input=draw(arrays(shape, draw(families))),
        grad_output=draw(arrays(shape, draw(families))),
        weight=draw(st.none() | channels),
        bias=draw(st.none() | channels),
        running=running,
        training=training,
        momentum=draw(momenta),
        eps=draw(epsilons),
        mixed=draw(st.booleans()),
        frozen=draw(st.sampled_from(((), (), ("input",), ("weight",), ("bias", "weight")))),
    )


@given(case=batch_norm_cases())
def test_batch_norm_its_gradients_and_its_statistics_equal_the_reference(
    targets: Targets, case: BatchNormCase
) -> None:
    x, g = (LAYOUTS[d.layout](torch.zeros(d.shape)) for d in (case.input, case.grad_output))
    vectors = [v for v in (case.weight, case.bias, *(case.running or ())) if v]
    dense = is_dense(x) and all(v.layout == "contiguous" for v in vectors)
    mixed = case.mixed and vectors  # with none there is nothing in float32
    for dtype, paths in targets.by_dtype(*DOORS):
        half = FORMATS[dtype].precision < 24
        params = "float32" if mixed and half else dtype
        for device in targets.devices:
            kernels = Kernels(
                dtype, params, device, dense, is_dense(x) and x.stride() == g.stride()
            )
            expected = reference(case, kernels)
            for target in (t for t in paths if t.device == device):
                verify(case, target, params, expected)


def reference(case: BatchNormCase, kernels: Kernels) -> dict[str, Rounded]:
    """Every result, by name."""
    x = kernels.array(case.input.numbers(kernels.dtype))
    g = kernels.array(case.grad_output.numbers(kernels.dtype))
    w, b = (
        kernels.array(v.numbers(kernels.params)) if v else None for v in (case.weight, case.bias)
    )
    running: Any = ()
    if case.running:
        mean, var = (v.numbers(kernels.params) for v in case.running)
        running = (kernels.array(mean), kernels.array(np.abs(var)))
    batch = kernels.statistics(x) if case.of_batch else running
    expected = {"output": kernels.output(x, *batch, w, b, eps=case.eps)}
    grads = kernels.gradients(g, x, *batch, w, eps=case.eps, training=case.of_batch)
    expected |= {f"grad_{name}": grad for name, grad in grads.items()}
    if case.training and running:
        count = values_per_channel(x)
        running = kernels.running(running, batch, count=count, momentum=case.momentum)
    return expected | dict(zip(("running_mean", "running_var"), running, strict=False))


def verify(case: BatchNormCase, target: Target, params: str, expected: dict[str, Rounded]) -> None:
    vectors = replace(target, dtype=params)  # of what has one number per channel
    x, running = case.input.tensor(target), statistics(case, vectors)
    drawn = {"weight": case.weight, "bias": case.bias}
    present = {name: v.tensor(vectors) for name, v in drawn.items() if v}

    def function(input: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        options: dict[str, Any] = dict(zip(present, rest, strict=True))
        options |= {"training": case.of_batch, "momentum": case.momentum, "eps": case.eps}
        mean, var = running or (None, None)
        return F.batch_norm(input, mean, var, **options)

    def module() -> torch.nn.Module:
        layer = MODULES[x.dim()](
            x.shape[1], case.eps, case.momentum, track_running_stats=bool(running)
        )
        if running:
            layer.running_mean, layer.running_var = running
        for name in drawn.keys() - present.keys():
            layer.register_parameter(name, None)
        return layer.train(case.training)

    y, grads = gradients(
        target,
        function,
        {"input": x, **present},
        case.grad_output.tensor(target),
        module,
        case.frozen,
    )
    component = "batch_norm" if params == target.dtype else "batch_norm mixed"
    check(component, "output", target, y, expected["output"])
    for name, grad in grads.items():
        where = target if name == "input" else vectors
        known = component + " strided" * reads_past_gaps(case, target, name)
        check(known, f"grad_{name}", where, grad, expected[f"grad_{name}"])
    for name, statistic in zip(("running_mean", "running_var"), running, strict=False):
        check(component, name, vectors, statistic, expected[name])
    formats = [f for f in MEMORY_FORMATS[x.dim()] if x.is_contiguous(memory_format=f)]
    if len(formats) == 1:  # of an image of one pixel, or an empty one, nobody can tell
        kept = y.is_contiguous(memory_format=formats[0])
        assert kept, f"{component} on {target}: {formats[0]} in, strides {y.stride()} out"


def reads_past_gaps(case: BatchNormCase, target: Target, name: str) -> bool:
    """Where torch takes numbers from the gaps: `batch-norm-reads-past-gaps` in the ledger.

    In float32 and float64, with channels innermost, the CPU's kernel for the backward pass reads
    weight and running statistics as if they had no gaps.
    """
    x, g = (LAYOUTS[d.layout](torch.zeros(d.shape)) for d in (case.input, case.grad_output))
    read = {"weight": case.weight} if name == "input" else {}
    if not case.of_batch and case.running and name != "bias":
        read |= dict(zip(("mean", "var"), case.running, strict=True))
    return (
        torch.device(target.device).type == "cpu"
        and FORMATS[target.dtype].precision >= 24
        and (has_channels_last(x) and x.stride() == g.stride())
        and (x.numel() > 0 and x.shape[1] > 1)
        and any(v is not None and v.layout == "strided" for v in read.values())
    )


def statistics(case: BatchNormCase, target: Target) -> tuple[torch.Tensor, ...]:
    """New running statistics, or none; a variance is not negative."""
    if not case.running:
        return ()
    mean, var = (v.tensor(target) for v in case.running)
    return mean, var.abs_()


@given(case=batch_norm_cases())
def test_half_type_batch_norm_on_the_cpu_subtracts_a_rounded_mean(
    targets: Targets, case: BatchNormCase
) -> None:
    """The domain of `batch-norm-rounds-its-mean` in the ledger, against the bound without it."""
    for dtype, paths in targets.by_dtype("functional"):
        if FORMATS[dtype].precision >= 24 or not case.of_batch:
            continue
        for target in (t for t in paths if torch.device(t.device).type == "cpu"):
            kernels = Kernels(dtype, dtype, target.device, False, False, rounds_mean=False)
            x = kernels.array(case.input.numbers(dtype))
            mean, var = kernels.statistics(x)
            if not FORMATS[dtype].holds(mean.value).all():
                expected = kernels.output(x, mean, var, None, None, eps=case.eps)
                y = F.batch_norm(case.input.tensor(target), None, None, training=True, eps=case.eps)
                check("batch_norm rounded mean", "output", target, y, expected)
