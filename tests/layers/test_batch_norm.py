"""BatchNorm: one batch, in training and evaluation, through every door and option."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given

from reference.batch_statistics import values_per_channel
from tests.harness.doors import SideDoor, backend, gradients, side_doors, through
from tests.harness.formats import FORMATS
from tests.harness.rounded import Rounded
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels
from tests.layers.batch_norm_cases import MODULES, BatchNormCase, batch_norm_cases
from tests.layers.batch_norm_layouts import has_channels_last, is_dense, lie_alike, one_kernel

MEMORY_FORMATS = {
    2: (torch.contiguous_format,),
    3: (torch.contiguous_format,),
    4: (torch.contiguous_format, torch.channels_last),
    5: (torch.contiguous_format, torch.channels_last_3d),
}
"""By the dimensions of the input. What comes in one of the formats leaves in it."""


@given(case=batch_norm_cases(), door=side_doors)
def test_batch_norm_its_gradients_and_its_statistics_equal_the_reference(
    targets: Targets, case: BatchNormCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        verify(case, dtype, paths)


def verify(case: BatchNormCase, dtype: str, paths: list[Target]) -> None:
    """All targets of a dtype, in groups that have the same bound."""
    x, g = (LAYOUTS[d.layout](torch.zeros(d.shape)) for d in (case.input, case.grad_output))
    present = [v for v in (case.weight, case.bias, *(case.running or ())) if v]
    dense = is_dense(x) and all(v.layout == "contiguous" or v.shape == (1,) for v in present)
    mixed = case.mixed and present  # with none there is nothing in float32
    params = "float32" if mixed and FORMATS[dtype].precision < 24 else dtype
    for device in dict.fromkeys(target.device for target in paths):
        kernels = Kernels(dtype, params, device, dense, one_kernel(x, g))
        expected = reference(case, kernels)
        for target in (t for t in paths if t.device == device):
            if target.path == "compiled" and backend() == "inductor":
                written = replace(kernels, generated=True)
                verify_one(case, target, params, reference(case, written))
            elif target.path in {"compiled", "exported"} and kernels.half_throughout and not dense:
                traced = replace(kernels, copied=True)
                verify_one(case, target, params, reference(case, traced))
            elif target.path != "vmap":
                verify_one(case, target, params, expected)
            elif takes_a_batch(case, target, params):
                statistics_dense = all(v.layout == "contiguous" for v in case.running or ())
                parts = replace(kernels, batched=True, dense=statistics_dense)
                verify_one(case, target, params, reference(case, parts))


def takes_a_batch(case: BatchNormCase, target: Target, params: str) -> bool:
    """What `vmap` refuses is in `test_batch_norm_refusals.py`."""
    return params == target.dtype and not (case.training and case.running)


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
    back, saved = kernels, batch
    if kernels.saves_in_half and case.of_batch:
        back = replace(kernels, generated=False)
        saved = back.statistics(x)
    grads = back.gradients(g, x, *saved, w, eps=case.eps, training=case.of_batch)
    expected |= {f"grad_{name}": grad for name, grad in grads.items()}
    if case.training and running:
        count = values_per_channel(x)
        running = kernels.running(running, batch, count=count, momentum=case.momentum)
    return expected | dict(zip(("running_mean", "running_var"), running, strict=False))


def verify_one(
    case: BatchNormCase, target: Target, params: str, expected: dict[str, Rounded]
) -> None:
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
        if not misread(case, target, name):
            where = target if name == "input" else vectors
            check(component, f"grad_{name}", where, grad, expected[f"grad_{name}"])
    for name, statistic in zip(("running_mean", "running_var"), running, strict=False):
        check(component, name, vectors, statistic, expected[name])
    formats = [f for f in MEMORY_FORMATS[x.dim()] if x.is_contiguous(memory_format=f)]
    if min(x.shape) > 1 and formats and target.path != "vmap":  # else strides tell no format
        kept = y.is_contiguous(memory_format=formats[0])
        assert kept, f"{component} on {target}: {formats[0]} in, strides {y.stride()} out"


def misread(case: BatchNormCase, target: Target, name: str) -> bool:
    """The domains, on the CPU, of four entries of the ledger; `test_batch_norm_known_faults.py`.

    `batch-norm-misreads-channels-last`: torch takes input and gradient for alike, by the strides of
    sides of length 1, and they are not.

    `batch-norm-reads-past-gaps`, `batch-norm-reads-freed-statistics`: in float32 and float64, with
    channels innermost, torch reads a strided weight and, in evaluation, strided statistics wrongly.
    """
    if saves_in_half(case, target) and name != "bias":
        return True
    x, g = (LAYOUTS[d.layout](torch.zeros(d.shape)) for d in (case.input, case.grad_output))
    if target.path == "compiled":  # hands the gradient on in the layout of the output
        g = x
    if torch.device(target.device).type != "cpu" or x.numel() == 0 or not one_kernel(x, g):
        return False
    if not lie_alike(x, g):
        return True
    mean, var = (None, None) if case.of_batch or not case.running else case.running
    read = {"input": (case.weight, var), "weight": (mean, var), "bias": ()}[name]
    gaps = any(v is not None and v.layout == "strided" for v in read)
    full = FORMATS[target.dtype].precision >= 24
    return gaps and full and has_channels_last(x) and x.shape[1] > 1


def saves_in_half(case: BatchNormCase, target: Target) -> bool:
    """`compiled-batch-norm-saves-half-statistics`: of half inputs with float32 parameters."""
    generated = target.path == "compiled" and backend() == "inductor"
    has_parameters = any((case.weight, case.bias, case.running))
    half = FORMATS[target.dtype].precision < 24
    on_cpu = torch.device(target.device).type == "cpu"
    return generated and case.mixed and has_parameters and half and case.of_batch and on_cpu


def statistics(case: BatchNormCase, target: Target) -> tuple[torch.Tensor, ...]:
    """New running statistics, or none; a variance is not negative."""
    if not case.running:
        return ()
    mean, var = (v.tensor(target) for v in case.running)
    return mean, var.abs_()
