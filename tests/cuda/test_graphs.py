"""Steps recorded in CUDA graphs and replayed: of an optimizer, and of a whole training.

`tests/meta/test_graphs.py` runs these where there is no CUDA, on graphs that the CPU imitates.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference import mlp
from tests.cuda.replayed import WARM_UP, Replayed
from tests.cuda.targets import cuda_targets, needs_cuda, normal
from tests.harness.border import to_numpy
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.optimizers.test_compiled import OPTIMIZERS, OPTIONS, reference

STEPS = WARM_UP + 4
BATCH, PIXELS, HIDDEN, CLASSES = 16, 33, 17, 5


def made(name: str, params: list[torch.Tensor], foreach: bool) -> torch.optim.Optimizer:
    """Adam's step count must be a tensor of the device; SGD counts nothing."""
    flags = {} if name == "sgd" else {"capturable": True}
    return OPTIMIZERS[name](params, foreach=foreach, **OPTIONS[name], **flags)


@needs_cuda
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_step_equals_the_reference(targets: Targets, name: str, foreach: bool) -> None:
    """The gradient changes in place between replays; the step count and the state live on."""
    rounding, numbers = Rounding.kernel("float32"), normal(0, 1 + STEPS, 33)
    for target in cuda_targets(targets, "foreach, graph" if foreach else "for-loop, graph"):
        start = torch.tensor(numbers[0], dtype=torch.float32, device=target.device)
        param = start.requires_grad_()
        param.grad = torch.zeros_like(param)
        opt = made(name, [param], foreach)
        step, state = Replayed(target.device, opt.step), {"param": rounding.array(numbers[0])}
        for number, grad in enumerate(numbers[1:], start=1):
            param.grad.copy_(torch.from_numpy(grad))
            step()
            after = reference(name, state, rounding.array(grad), number)
            state = {key: rounding.stored(x) for key, x in after.items() if x is not None}
            for output, want in state.items():
                got = param if output == "param" else opt.state[param][output]
                check(name, output, target, got, want)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_training_step_equals_the_reference(targets: Targets, name: str) -> None:
    """Forward, backward and update are one graph; the batch changes in place between replays.

    Each step of the reference starts from torch's own parameters and state.
    """
    component, float32 = f"training step, {name}", Rounding.kernel("float32")
    for target in cuda_targets(targets, "graph"):
        products = float32.on(target.device)
        drawn = mlp.initial_parameters(np.random.default_rng(0), PIXELS, HIDDEN, CLASSES)
        params = [
            torch.tensor(p, dtype=torch.float32, device=target.device).requires_grad_()
            for p in drawn
        ]
        images = torch.empty(BATCH, PIXELS, device=target.device)
        labels = torch.empty(BATCH, dtype=torch.int64, device=target.device)
        loss = torch.empty((), device=target.device)
        opt = made(name, params, foreach=False)

        def train() -> None:
            hidden = F.relu(F.linear(images, *params[:2]))  # noqa: B023
            of_batch = F.cross_entropy(F.linear(hidden, *params[2:]), labels)  # noqa: B023
            of_batch.backward()
            loss.copy_(of_batch.detach())  # noqa: B023
            opt.step()  # noqa: B023

        step = Replayed(target.device, train, before=opt.zero_grad)
        for number, (x, t) in enumerate(batches(), start=1):
            images.copy_(torch.from_numpy(x))
            labels.copy_(torch.from_numpy(t))
            before = [numbers_of(opt, p) for p in params]
            step()
            tracked = mlp.Parameters(*(products.array(state["param"]) for state in before))
            activations: Any = mlp.forward(tracked, products.array(x), t)
            check(component, "loss", target, loss, products.stored(activations.loss))
            grads = mlp.backward(tracked, products.array(x), t, activations)
            for label, p, grad, state in zip(drawn._fields, params, grads, before, strict=True):
                check(component, f"grad {label}", target, p.grad, products.stored(grad))
                assert p.grad is not None
                given = {key: float32.array(x) for key, x in state.items()}
                after = reference(name, given, float32.array(to_numpy(p.grad)), number)
                for key, want in after.items():
                    got = p if key == "param" else opt.state[p][key]
                    check(component, f"{key} {label}", target, got, float32.stored(want))


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    labels = np.random.default_rng(2).integers(0, CLASSES, (STEPS, BATCH))
    yield from zip(normal(1, STEPS, BATCH, PIXELS), labels, strict=True)


def numbers_of(opt: torch.optim.Optimizer, param: torch.Tensor) -> dict[str, np.ndarray]:
    """A copy of a parameter, and of its state but for the step count."""
    state = {key: x for key, x in opt.state[param].items() if key != "step" and x is not None}
    return {key: to_numpy(x).copy() for key, x in {"param": param.detach(), **state}.items()}


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_what_cannot_be_recorded_is_refused(name: str) -> None:
    """On the CPU there are no graphs."""
    param = torch.ones(2, requires_grad=True)
    param.grad = torch.ones(2)
    opt = made(name, [param], foreach=False)
    with pytest.raises(AssertionError, match="capturable=True"):
        opt.step()
