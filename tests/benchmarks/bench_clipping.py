"""Clipping the gradients of four square matrices."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from reference.clipping import clip_grad_norm, clip_grad_value
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import SIZES, array_of, matrices
from tests.harness.targets import Targets

CLIPPING: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "clip_grad_norm": (clip_grad_norm_, clip_grad_norm),
    "clip_grad_value": (clip_grad_value_, clip_grad_value),
}


@pytest.mark.parametrize("side", ["torch", "for-loop", "reference", "with bound"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CLIPPING)
def test_clipping(timed: Timed, targets: Targets, name: str, size: int, side: str) -> None:
    of_torch, of_reference = CLIPPING[name]
    grads = matrices(size)
    if side in ("torch", "for-loop"):
        params = [torch.zeros(size, size, device=targets.devices[0]) for _ in grads]
        for param, grad in zip(params, grads, strict=True):
            param.grad = torch.tensor(grad, device=targets.devices[0])
        timed(name, side, size, lambda: of_torch(params, 1.0, foreach=side == "torch"))
    else:
        arrays = [array_of(side)(grad) for grad in grads]
        timed(name, side, size, lambda: of_reference(arrays, 1.0))
