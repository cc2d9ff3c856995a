"""Clipping compiled, and the norms of the gradients of each example, which vmap gives."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from reference.clipping import clip_grad_norm, clip_grad_value
from reference.clipping import get_total_norm as total_norm_of
from tests.harness.doors import compiled, compiles
from tests.harness.formats import FLOAT32
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

SHAPES = ((33,), (4, 17), ())
ROUNDING = Rounding.kernel("float32")


def in_float32(targets: Targets, path: str) -> list[Target]:
    if "float32" not in targets.dtypes:
        pytest.skip("float32 is not asked for")
    return [Target(device, "float32", path) for device in targets.devices]


def drawn(*batch: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [FLOAT32.round(random.standard_normal((*batch, *shape))) for shape in SHAPES]


def on(target: Target, arrays: list[np.ndarray]) -> list[torch.Tensor]:
    return [torch.tensor(a, dtype=torch.float32, device=target.device) for a in arrays]


def with_gradients(target: Target) -> list[torch.Tensor]:
    grads = on(target, drawn())
    params = [torch.zeros_like(grad, requires_grad=True) for grad in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    return params


@compiles
@pytest.mark.parametrize("norm_type", [2.0, 1.0, np.inf])
def test_compiled_clipping_by_norm_equals_the_reference(targets: Targets, norm_type: float) -> None:
    arrays: Any = list(map(ROUNDING.array, drawn()))
    clipped, norm = clip_grad_norm(arrays, 0.5, norm_type)
    for target in in_float32(targets, "compiled"):
        params = with_gradients(target)
        total: Any = compiled(lambda *params: clip_grad_norm_(params, 0.5, norm_type))(*params)
        check("clip_grad_norm", "total_norm", target, total, ROUNDING.stored(norm))
        for param, want in zip(params, clipped, strict=True):
            check("clip_grad_norm", "grad", target, param.grad, ROUNDING.stored(want))


@compiles
def test_compiled_clipping_by_value_equals_the_reference(targets: Targets) -> None:
    arrays: Any = list(map(ROUNDING.array, drawn()))
    for target in in_float32(targets, "compiled"):
        params = with_gradients(target)

        def clip(*params: torch.Tensor) -> torch.Tensor:
            clip_grad_value_(params, 0.3)
            return params[0]

        compiled(clip)(*params)
        for param, want in zip(params, clip_grad_value(arrays, 0.3), strict=True):
            check("clip_grad_value", "grad", target, param.grad, ROUNDING.stored(want))


def total_norm(*grads: torch.Tensor, norm_type: float) -> torch.Tensor:
    return get_total_norm(grads, norm_type, foreach=False)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, np.inf])
def test_each_example_of_a_batch_has_its_own_norm(targets: Targets, norm_type: float) -> None:
    """Tensor by tensor: the kernels of several at once take no batch."""
    batch = drawn(5)
    examples: Any = [[ROUNDING.array(grad[i]) for grad in batch] for i in range(5)]
    expected: Any = [ROUNDING.stored(total_norm_of(grads, norm_type)) for grads in examples]
    for target in in_float32(targets, "vmap"):
        of_one = partial(total_norm, norm_type=norm_type)
        norms = torch.func.vmap(of_one)(*on(target, batch))
        for norm, want in zip(norms, expected, strict=True):
            check("clip_grad_norm", "total_norm", target, norm, want)
