"""Steps recorded in CUDA graphs and replayed: of an optimizer, of a scaler, of a whole training.

`tests/meta/test_graphs.py` runs these where there is no CUDA, on graphs that the CPU imitates.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference import mlp
from reference.grad_scaler import unscale, update_scale
from tests.cuda.replayed import WARM_UP, Replayed
from tests.cuda.targets import cuda_targets, needs_cuda, normal
from tests.harness.border import to_numpy
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check, exactly
from tests.optimizers.reference_history import State
from tests.optimizers.test_compiled import OPTIMIZERS, OPTIONS, model_of, reference

STEPS = WARM_UP + 4
BATCH, PIXELS, HIDDEN, CLASSES = 16, 33, 17, 5
PATHS = ("for-loop", "foreach", "fused")


def made(name: str, params: list[torch.Tensor], path: str) -> torch.optim.Optimizer:
    """Adam's step count must be a tensor of the device; SGD counts nothing."""
    flags = {} if name == "sgd" else {"capturable": True}
    flags |= {flag: flag == path for flag in ("foreach", "fused")}
    return OPTIMIZERS[name](params, **OPTIONS[name], **flags)


def rounds_as(path: str) -> str:
    """Which of the paths outside of graphs: in one, all but fused steps count in tensors."""
    return path if path == "fused" else "capturable"


@needs_cuda
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_step_equals_the_reference(targets: Targets, name: str, path: str) -> None:
    """The gradient changes in place between replays; the step count and the state live on."""
    numbers = normal(0, 1 + STEPS, 33)
    for target in cuda_targets(targets, f"{path}, graph"):
        model = model_of(name, rounds_as(path), target.device)
        start = torch.tensor(numbers[0], dtype=torch.float32, device=target.device)
        param = start.requires_grad_()
        param.grad = torch.zeros_like(param)
        opt = made(name, [param], path)
        step = Replayed(target.device, opt.step)
        state: State = {"param": model.rounding.array(numbers[0])}
        for number, grad in enumerate(numbers[1:], start=1):
            param.grad.copy_(torch.from_numpy(grad))
            step()
            state = reference(name, model, state, grad, number)
            for output, want in state.items():
                got = param if output == "param" else opt.state[param][output]
                check(name, output, target, got, want)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_scaled_step_equals_the_reference(targets: Targets, name: str) -> None:
    """Unscaling, skipping and the search for the scale are kernels, too.

    But only with a fused optimizer; else GradScaler looks whether to skip. The step is skipped once
    in the warm-up and once in a replay, and the scale grows after every second that is not.
    """
    numbers = normal(3, 1 + STEPS, 33)
    numbers[2, 0], numbers[-2, -1] = np.nan, np.inf
    for target in cuda_targets(targets, "fused, scaled, graph"):
        start = torch.tensor(numbers[0], dtype=torch.float32, device=target.device)
        param, factors = start.requires_grad_(), torch.zeros_like(start)
        opt = made(name, [param], "fused")
        scaler = torch.amp.GradScaler(target.device_type, 64.0, growth_interval=2)

        def train() -> None:
            scaler.scale((param * factors).sum()).backward()  # noqa: B023
            scaler.step(opt)  # noqa: B023
            scaler.update()  # noqa: B023

        step = Replayed(target.device, train, before=opt.zero_grad)
        model = model_of(name, "fused", target.device)
        state: State = {"param": model.rounding.array(numbers[0])}
        scale, tracker, steps = 64.0, 0, 0
        for of_factors in numbers[1:]:
            factors.copy_(torch.from_numpy(of_factors))
            step()
            (grad,), found_inf = unscale([of_factors * scale], scale)  # powers of two: exact
            if not found_inf:
                steps += 1
                state = reference(name, model, state, grad, steps)
            scale, tracker = update_scale(scale, tracker, found_inf, growth_interval=2)
            for output, want in state.items():
                got = param if output == "param" else opt.state[param][output]
                check(f"{name}, scaled", output, target, got, want)
            exactly("grad_scaler", "scale", target, torch.tensor(scaler.get_scale()), scale)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_training_step_equals_the_reference(targets: Targets, name: str) -> None:
    """Forward, backward and update are one graph; the batch changes in place between replays.

    Each step of the reference starts from torch's own parameters and state.
    """
    component, float32 = f"training step, {name}", Rounding.kernel("float32")
    for target in cuda_targets(targets, "graph"):
        products = float32.on(target.device)
        model = model_of(name, "capturable", target.device)
        drawn = mlp.initial_parameters(np.random.default_rng(0), PIXELS, HIDDEN, CLASSES)
        params = [
            torch.tensor(p, dtype=torch.float32, device=target.device).requires_grad_()
            for p in drawn
        ]
        images = torch.empty(BATCH, PIXELS, device=target.device)
        labels = torch.empty(BATCH, dtype=torch.int64, device=target.device)
        loss = torch.empty((), device=target.device)
        opt = made(name, params, "for-loop")

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
                after = reference(name, model, given, to_numpy(p.grad), number)
                for key, want in after.items():
                    got = p if key == "param" else opt.state[p][key]
                    check(component, f"{key} {label}", target, got, want)


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
    opt = made(name, [param], "for-loop")
    with pytest.raises(AssertionError, match="capturable=True"):
        opt.step()
