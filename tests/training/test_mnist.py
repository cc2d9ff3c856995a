"""MNIST: every step of a real epoch verified, and an independent NumPy run beside torch's."""

from typing import Any

import pytest
import torch

from reference import mlp
from tests.claims.claim import Claim, holds
from tests.harness.border import to_numpy
from tests.harness.record import RECORD
from tests.harness.reproducer.pause import literal
from tests.harness.targets import Target, Targets
from tests.harness.verdict import Deviation
from tests.training.curves import Curves, known
from tests.training.mnist import Mnist
from tests.training.network import (
    OPTIMIZERS,
    Parameters,
    batches,
    initial,
    reference_step,
    torch_backward,
    torch_forward,
)
from tests.training.part import parts_of_network, parts_of_update
from tests.training.progress import progress
from tests.training.verify import vectors, verify_nodes, verify_update

VERIFIED, ALONE = 128, 64  # images in a batch: a verified step costs little more for twice as many


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_of_an_mnist_epoch_equals_the_reference(
    targets: Targets, mnist: Mnist, name: str, request: pytest.FixtureRequest
) -> None:
    """Each step starts from torch's own parameters and state, which float64 holds exactly.

    Each node of the graph, there and back, is held against the reference of what torch's own nodes
    before it made, and the updated parameters and state against its optimizer step from torch's own
    gradients.
    """
    for device in targets.devices:
        verify_epoch(Target(device, "float32", "mnist"), mnist, name, request.config)


def verify_epoch(target: Target, mnist: Mnist, name: str, config: pytest.Config) -> None:
    (optimizer, options), device = OPTIMIZERS[name], target.device
    params = [torch.from_numpy(p).to(device).requires_grad_() for p in initial(28 * 28)]
    opt = optimizer(params, **options)
    epoch = list(batches(mnist.train_images, mnist.train_labels, VERIFIED, seed=1))
    curves = Curves(f"mnist {name} on {device}")
    before = vectors({"param": p} for p in params)

    @literal  # the script of a step that deviates begins with its numbers
    def step(number: int, images: Any, labels: Any) -> dict[str, torch.Tensor]:
        opt.zero_grad()
        nodes = torch_forward(params, images, labels)
        torch_backward(nodes)
        with RECORD.apart():
            expected = verify_nodes(f"mnist {name}", target, images, labels, params, nodes)
            grads = vectors({"grad": p.grad} for p in params)
            opt.step()
            after = vectors({"param": p, **opt.state[p]} for p in params)
            verify_update(f"mnist {name}", target, name, options, before | grads, after, number)
            curves.batch(f"torch on {device}", nodes.loss.item(), to_numpy(nodes.logits), labels)
            curves.batch("NumPy", *expected, labels)
            curves.shares(RECORD)
        curves.norms(params)
        return after

    steps = progress(epoch, f"{name}, every step verified", config)
    for number, (images, labels) in enumerate(steps, start=1):
        try:
            before = step(number, images, labels)
        except Deviation:
            grads = literal(vectors)({"grad": p.grad} for p in params)
            verify_parts(target, name, params, before | grads, images, labels, number)
            raise


def verify_parts(
    target: Target,
    name: str,
    params: list[torch.Tensor],
    before: dict[str, torch.Tensor],
    images: Any,
    labels: Any,
    step: int,
) -> None:
    """Of a step that deviates, the smallest part that does, so that its script is short."""
    optimizer, options = OPTIMIZERS[name]
    start = literal(torch.split)(before["param"], [p.numel() for p in params])
    shaped = [literal(x.reshape)(p.shape) for x, p in zip(start, params, strict=True)]
    for network, x, t in parts_of_network(shaped, images, labels):
        nodes = torch_forward(network, x, t)
        torch_backward(nodes)
        verify_nodes(f"mnist {name}", target, x, t, network, nodes)
    for opt, param, given in parts_of_update(optimizer, options, before, step):
        opt.step()
        after = vectors([{"param": param, **opt.state[param]}])
        verify_update(f"mnist {name}", target, name, options, given, after, step)


@pytest.mark.long
@holds("N3", "an MLP 784-256-10 with AdamW learns MNIST", "97 % of the test images after 3 epochs")
@pytest.mark.parametrize("name", ["adamw"])
def test_numpy_alone_learns_mnist_as_torch_does(
    claim: Claim, targets: Targets, mnist: Mnist, name: str, request: pytest.FixtureRequest
) -> None:
    """Three epochs from the same start: both know at least 97 % of the test images.

    They part slowly, by rounding, and the accuracies stay within 0.3 points: 30 of MNIST's 10,000
    images, where the standard deviation of a 97 % score is 17.
    """
    optimizer, options = OPTIMIZERS[name]
    epochs = 3
    images, labels = mnist.train_images, mnist.train_labels
    for device in targets.devices:
        ours: list[Any] = list(initial(28 * 28))
        state: list[Parameters] = [{} for _ in ours]
        theirs = [torch.from_numpy(p.copy()).to(device).requires_grad_() for p in ours]
        opt = optimizer(theirs, **options)
        curves = Curves(f"mnist {name} on {device}, {epochs} epochs, NumPy by itself")
        schedule = [
            batch for epoch in range(epochs) for batch in batches(images, labels, ALONE, epoch)
        ]
        accuracy: list[float] = []
        for step, (x, t) in enumerate(
            progress(schedule, f"{name}, NumPy alone beside torch", request.config), start=1
        ):
            opt.zero_grad()
            nodes = torch_forward(theirs, x, t)
            nodes.loss.backward()
            opt.step()

            parameters = mlp.Parameters(*ours)
            activations = mlp.forward(parameters, x, t)
            grads = mlp.backward(parameters, x, t, activations)
            curves.batch(f"torch on {device}", nodes.loss.item(), to_numpy(nodes.logits), t)
            curves.batch("NumPy", activations.loss, activations.logits, t)
            curves.norms(theirs)
            for i, grad in enumerate(grads):
                after = reference_step(name, options, ours[i], grad, state[i], step)
                ours[i], state[i] = after.pop("param"), after
            if step * epochs % len(schedule) == 0:
                accuracy = [
                    accuracy_of(mlp.Parameters(*params), mnist)
                    for params in (ours, [to_numpy(p) for p in theirs])
                ]
                for line, share in zip(("NumPy", f"torch on {device}"), accuracy, strict=True):
                    curves.add("% of the test images known", line, share)
        claim.shows(f"{mnist.name}: {accuracy[1]:.0f} % of {len(mnist.test_labels):,} test images")
        assert min(accuracy) >= 97, f"after {epochs} epochs NumPy, torch know {accuracy} %"
        assert abs(accuracy[0] - accuracy[1]) <= 0.3, f"NumPy, torch know {accuracy} %"


def accuracy_of(parameters: mlp.Parameters, mnist: Mnist) -> float:
    logits = mlp.forward(parameters, mnist.test_images, mnist.test_labels).logits
    return known(logits, mnist.test_labels)
