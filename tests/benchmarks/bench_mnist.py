"""An epoch of MNIST: torch's, the reference's in NumPy alone, and one of which each step is held.

All at the same batch size, with AdamW in float32 on the same threads.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from reference import mlp
from tests.benchmarks.conftest import Timed
from tests.harness.targets import Targets
from tests.training import network
from tests.training import test_mnist as training
from tests.training.mnist import Mnist

NAME = "adamw"
OPTIMIZER, OPTIONS = network.OPTIMIZERS[NAME]


@pytest.mark.parametrize("size", [training.ALONE, training.VERIFIED])
@pytest.mark.parametrize("side", ["torch", "reference", "every step verified"])
def test_an_epoch_of_mnist(
    timed: Timed,
    targets: Targets,
    mnist: Mnist,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    side: str,
    size: int,
) -> None:
    monkeypatch.setattr(training, "VERIFIED", size)
    epoch = list(network.batches(mnist.train_images, mnist.train_labels, size, seed=1))
    epochs: dict[str, Callable[[], None]] = {
        "torch": lambda: of_torch(epoch, targets.devices[0]),
        "reference": lambda: of_reference(epoch),
        "every step verified": lambda: (
            training.test_every_step_of_an_mnist_epoch_equals_the_reference(
                targets, mnist, NAME, request
            )
        ),
    }
    timed("an epoch of MNIST, by batch size", side, size, epochs[side])


def of_torch(epoch: list[tuple[Any, Any]], device: str) -> None:
    pixels = epoch[0][0].shape[1]
    params = [torch.from_numpy(p).to(device).requires_grad_() for p in network.initial(pixels)]
    opt = OPTIMIZER(params, **OPTIONS)
    for images, labels in epoch:
        opt.zero_grad()
        loss = network.torch_forward(params, images, labels).loss
        loss.backward()
        opt.step()


def of_reference(epoch: list[tuple[Any, Any]]) -> None:
    params: list[Any] = list(network.initial(epoch[0][0].shape[1]))
    states: list[dict[str, Any]] = [{} for _ in params]
    for step, (images, labels) in enumerate(epoch, start=1):
        parameters = mlp.Parameters(*params)
        grads = mlp.backward(parameters, images, labels, mlp.forward(parameters, images, labels))
        for i, grad in enumerate(grads):
            after = network.reference_step(NAME, OPTIONS, params[i], grad, states[i], step)
            params[i], states[i] = after.pop("param"), after
