"""One step of each optimizer on each of its paths, over four square matrices."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import COUNT, SIZES, array_of, matrices
from tests.harness.targets import Targets

PATHS = {
    "torch": {"foreach": True},
    "for-loop": {"foreach": False},
    "fused": {"fused": True},
}
OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-2}),
    "adam": (torch.optim.Adam, {"lr": 1e-3, "weight_decay": 1e-2}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 1e-2}),
}


@pytest.mark.parametrize("side", [*PATHS, "reference", "with bound"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(timed: Timed, targets: Targets, name: str, size: int, side: str) -> None:
    if side in PATHS:
        function = of_torch(name, size, PATHS[side], targets.devices[0])
    else:
        function = of_reference(name, size, side)
    timed(f"{name} step", side, size, function)


def of_torch(name: str, size: int, path: dict[str, bool], device: str) -> Callable[[], Any]:
    optimizer, options = OPTIMIZERS[name]
    params = [torch.tensor(x, device=device) for x in matrices(size)]
    for param in params:
        param.grad = param.cos()
    opt = optimizer(params, **options, **path)
    return opt.step


def of_reference(name: str, size: int, side: str) -> Callable[[], None]:
    """The step of one parameter, as often as there are parameters."""
    options = OPTIMIZERS[name][1]
    param, grad, first, second = map(array_of(side), matrices(size))

    def step() -> None:
        for _ in range(COUNT):
            if name == "sgd":
                sgd_step(param, grad, first, **options)
            else:
                moments = first, second * second
                {"adam": adam_step, "adamw": adamw_step}[name](param, grad, *moments, 3, **options)

    return step
