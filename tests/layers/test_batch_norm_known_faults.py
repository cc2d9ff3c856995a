"""What torch's BatchNorm gets wrong on the CPU: the domains that the ledger says, and no others."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from tests.harness.doors import compiles
from tests.harness.formats import FORMATS
from tests.harness.strategies.layouts import channels_last, contiguous, strided, transposed
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels
from tests.layers.batch_norm_cases import BatchNormCase, batch_norm_cases

EPS = 2.0**-10


def on_the_cpu(targets: Targets) -> list[Target]:
    by_dtype = targets.by_dtype("functional")
    return [t for _, paths in by_dtype for t in paths if torch.device(t.device).type == "cpu"]


def verify(
    row: str,
    target: Target,
    outputs: set[str],
    *tensors: torch.Tensor,
    statistics: tuple[torch.Tensor, ...] = (),
) -> None:
    """Compare gradients of a batch, normalised by its own statistics or by those that are given.

    The tensors are the input, the gradient of the output and the weight.
    """
    kernels = Kernels(target.dtype, target.dtype, target.device, dense=True, alike=True)
    x, g, w, *running = (kernels.array(t.double().numpy()) for t in (*tensors, *statistics))
    mean, var = running or kernels.statistics(x)
    training = not running
    expected = kernels.gradients(g, x, mean, var, w, eps=EPS, training=training)

    input, grad_output, weight = tensors
    leaves = [t.detach().requires_grad_() for t in (input, weight, torch.zeros_like(weight))]
    known_mean, known_var = statistics or (None, None)
    x, w, b = leaves
    y = F.batch_norm(x, known_mean, known_var, w, b, training=training, eps=EPS)
    for name, grad in zip(expected, torch.autograd.grad(y, leaves, grad_output), strict=True):
        if name in outputs:
            check(row, f"grad_{name}", target, grad, expected[name])


def drawn(target: Target, seed: int, *shape: int) -> torch.Tensor:
    """Numbers from 1 to 2, so that nothing hides behind a zero."""
    numbers = np.random.default_rng(seed).integers(8, 17, shape) / 8
    return torch.from_numpy(numbers).to(target.torch_dtype)


@pytest.mark.parametrize("shape", [(5, 2), (3, 17), (2, 64), (2, 3, 2, 2), (2, 65, 1, 1)])
def test_vectors_with_gaps_are_read_element_by_element(
    targets: Targets, shape: tuple[int, ...]
) -> None:
    """`batch-norm-reads-past-gaps` and `batch-norm-reads-freed-statistics`."""
    for target in on_the_cpu(targets):
        if FORMATS[target.dtype].precision < 24:
            continue
        x, g = (channels_last(drawn(target, seed, *shape)) for seed in (1, 2))
        weight, mean, var = (drawn(target, seed, shape[1]) for seed in (3, 4, 5))
        row = "batch_norm strided weight"
        for statistics in ((), (mean, var)):
            verify(row, target, {"input"}, x, g, strided(weight), statistics=statistics)
        row = "batch_norm strided statistics"
        verify(row, target, {"weight"}, x, g, weight, statistics=(strided(mean), var))
        verify(row, target, {"input", "weight"}, x, g, weight, statistics=(mean, strided(var)))


@pytest.mark.parametrize("shape", [(1, 2, 1, 3), (1, 5, 1, 4)])
@pytest.mark.parametrize("layouts", [(contiguous, transposed), (transposed, contiguous)])
def test_each_tensor_is_read_by_its_own_strides(
    targets: Targets, shape: tuple[int, ...], layouts: Any
) -> None:
    """`batch-norm-misreads-channels-last`: the sides of length 1 hide what is innermost."""
    for target in on_the_cpu(targets):
        x, g = (layout(drawn(target, 1 + at, *shape)) for at, layout in enumerate(layouts))
        weight = drawn(target, 3, shape[1])
        verify("batch_norm hidden layout", target, {"input", "weight", "bias"}, x, g, weight)


@settings(max_examples=settings().max_examples // 2)  # a deviation shows in most of them
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


@compiles
def test_compiled_batch_norm_goes_back_with_the_statistics_it_came_with(targets: Targets) -> None:
    """`compiled-batch-norm-saves-half-statistics`: bfloat16 does not hold the mean of the three.

    The backend decomposes as inductor does, which this is about, and needs no compiler.
    """
    if "bfloat16" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("bfloat16 on the CPU is not asked for")
    x = torch.tensor([[256.0], [258.0], [256.0]], dtype=torch.bfloat16)
    back, weight = torch.eye(3, 1, dtype=torch.bfloat16), torch.ones(1, requires_grad=True)

    def normalised(weight: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, weight, training=True, eps=EPS)

    torch.compiler.reset()
    torch.compile(normalised, backend="aot_eager_decomp_partition")(weight).backward(back)
    kernels = Kernels("bfloat16", "float32", "cpu", dense=True, alike=True, generated=True)
    arrays = [kernels.array(t.double().numpy()) for t in (back, x)]
    mean_and_var = kernels.statistics(arrays[1])
    grads = kernels.gradients(*arrays, *mean_and_var, None, eps=EPS, training=True)
    target = Target("cpu", "float32", "compiled")
    check("batch_norm compiled mixed", "grad_weight", target, weight.grad, grads["weight"])
