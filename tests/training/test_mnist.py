"""MNIST: every step of a real epoch verified, and an independent NumPy run beside torch's."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference import mlp
from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.claims.claim import Claim, holds
from tests.harness.border import to_numpy
from tests.harness.record import RECORD
from tests.harness.reproducer.pause import literal
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import Deviation, check
from tests.training.curves import Curves, known
from tests.training.mnist import Mnist
from tests.training.part import parts_of_network, parts_of_update
from tests.training.progress import progress

HIDDEN, CLASSES = 256, 10
VERIFIED, ALONE = 128, 64  # images in a batch: a verified step costs little more for twice as many
BLOCK = 32_768  # elements worked on at a time, so that they stay in the cache

Parameters = dict[str, Any]  # by name, torch tensors or arrays

OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}),
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 1e-2}),
}
REFERENCE_STEPS: dict[str, Callable[..., Any]] = {"adam": adam_step, "adamw": adamw_step}


def batches(
    images: np.ndarray, labels: np.ndarray, size: int, seed: int
) -> Iterator[tuple[Any, Any]]:
    """One epoch in random order, the last incomplete batch included."""
    order = np.random.default_rng(seed).permutation(len(images))
    for start in range(0, len(images), size):
        rows = order[start : start + size]
        yield images[rows], labels[rows]


def initial(pixels: int) -> mlp.Parameters:
    drawn = mlp.initial_parameters(np.random.default_rng(0), pixels, HIDDEN, CLASSES)
    return mlp.Parameters(*(p.astype(np.float32) for p in drawn))


def torch_forward(
    params: list[torch.Tensor], images: Any, labels: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and the logits."""
    weight1, bias1, weight2, bias2 = params
    x = torch.from_numpy(images).to(weight1.device)
    logits = F.linear(F.relu(F.linear(x, weight1, bias1)), weight2, bias2)
    return F.cross_entropy(logits, torch.from_numpy(labels).to(weight1.device)), logits


def reference_step(
    name: str, options: dict[str, Any], param: Any, grad: Any, state: Parameters, step: int
) -> Parameters:
    """One step of an optimizer's reference, its results by torch's names."""
    if name == "sgd":
        param, buffer = sgd_step(param, grad, state.get("momentum_buffer"), **options)
        return {"param": param, "momentum_buffer": buffer}
    moments = (state.get(buffer, 0.0) for buffer in ("exp_avg", "exp_avg_sq"))
    after = REFERENCE_STEPS[name](param, grad, *moments, step, **options)
    return dict(zip(("param", "exp_avg", "exp_avg_sq"), after[:3], strict=True))


@pytest.mark.long
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_step_of_an_mnist_epoch_equals_the_reference(
    targets: Targets, mnist: Mnist, name: str, request: pytest.FixtureRequest
) -> None:
    """Each step starts from torch's own parameters and state, which float64 holds exactly.

    The loss and the gradients are held against the reference's forward and backward pass, the
    updated parameters and state against its optimizer step from torch's own gradients.
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
        loss, logits = torch_forward(params, images, labels)
        loss.backward()
        with RECORD.apart():
            expected = verify_gradients(f"mnist {name}", target, images, labels, loss, params)
            grads = vectors({"grad": p.grad} for p in params)
            opt.step()
            after = vectors({"param": p, **opt.state[p]} for p in params)
            verify_update(f"mnist {name}", target, name, options, before | grads, after, number)
            curves.batch(f"torch on {device}", loss.item(), to_numpy(logits), labels)
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
        loss, _ = torch_forward(network, x, t)
        loss.backward()
        verify_gradients(f"mnist {name}", target, x, t, loss, network)
    for opt, param, given in parts_of_update(optimizer, options, before, step):
        opt.step()
        after = vectors([{"param": param, **opt.state[param]}])
        verify_update(f"mnist {name}", target, name, options, given, after, step)


def vectors(states: Iterable[Parameters]) -> dict[str, torch.Tensor]:
    """Copies of all parameters' tensors of one name, end to end: an update works elementwise."""
    gathered: dict[str, list[torch.Tensor]] = {}
    for state in states:
        for name, tensor in state.items():
            gathered.setdefault(name, []).append(tensor.detach().reshape(-1))
    return {name: torch.cat(tensors) for name, tensors in gathered.items() if name != "step"}


def verify_gradients(
    component: str,
    target: Target,
    images: Any,
    labels: Any,
    loss: torch.Tensor,
    params: list[torch.Tensor],
) -> tuple[Any, Any]:
    """Return the reference's loss and logits.

    The reference computes in float32 as well, which is what the bound is then of: of both. It is
    spared the pixels that no image of the batch has, and whose products are 0 exactly.
    """
    rounding = Rounding.alike().on(target.device)
    some = images.any(axis=0)
    seen, blank = np.flatnonzero(some), np.flatnonzero(~some)
    weight1, *others = (to_numpy(p, np.float32) for p in params)
    tracked = mlp.Parameters(*map(rounding.array, (weight1.take(seen, axis=1), *others)))
    inputs = rounding.array(images.take(seen, axis=1))
    activations: Any = mlp.forward(tracked, inputs, labels)
    check(component, "loss", target, loss, rounding.stored(activations.loss))

    got = {label: p.grad for label, p in zip(mlp.Parameters._fields, params, strict=True)}
    if (grad_weight1 := got["weight1"]) is not None:
        got["weight1"], unmoved = (
            grad_weight1.index_select(1, torch.from_numpy(pixels).to(target.device))
            for pixels in (seen, blank)
        )
        nothing = rounding.array(np.zeros(unmoved.shape, np.float32))
        check(component, "grad weight1", target, unmoved, nothing)
    grads = mlp.backward(tracked, inputs, labels, activations)
    for label, grad in grads._asdict().items():
        check(component, f"grad {label}", target, got[label], rounding.stored(grad))
    return activations.loss.value, activations.logits.value


def verify_update(
    component: str,
    target: Target,
    name: str,
    options: dict[str, Any],
    before: dict[str, torch.Tensor],
    after: dict[str, torch.Tensor],
    step: int,
) -> None:
    """The bound of an element is worked out where it matters.

    It is at least k u |value| where a result ends in a sum of k roundings, and so is that of the
    reference in float32. What is no further from the reference than both together needs no other;
    the first element has its bound in any case.
    """
    rounding = Rounding.kernel(target.dtype)
    given = {buffer: vector.cpu().numpy() for buffer, vector in before.items()}
    got = {output: vector.cpu().numpy() for output, vector in after.items()}

    def updated(elements: Any, read: Callable[[np.ndarray], Any]) -> Parameters:
        state = {buffer: read(vector[elements]) for buffer, vector in given.items()}
        param, grad = state.pop("param"), state.pop("grad")
        return reference_step(name, options, param, grad, state, step)

    far = np.zeros(given["param"].size, bool)
    for start in range(0, far.size, BLOCK):
        block = slice(start, start + BLOCK)
        for output, value in updated(block, np.asarray).items():
            both = 2 * last_roundings(name)[output] * rounding.compute.unit
            far[block] |= ~(np.abs(got[output][block] - value) <= both * np.abs(value))
    far[0] = True
    some = np.flatnonzero(far)
    for output, want in updated(some, rounding.array).items():
        actual = after[output][torch.from_numpy(some).to(target.device)]
        check(component, output, target, actual, rounding.stored(want))


@cache
def last_roundings(name: str) -> dict[str, int]:
    """In how many roundings each result of an optimizer's step ends."""
    _, options = OPTIMIZERS[name]
    one = Rounding.kernel("float32").array(np.ones(1))
    state = dict.fromkeys(("momentum_buffer", "exp_avg", "exp_avg_sq"), one)
    results = reference_step(name, options, one, one, state, 1)
    return {output: result.roundings for output, result in results.items()}


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
            loss, logits = torch_forward(theirs, x, t)
            loss.backward()
            opt.step()

            parameters = mlp.Parameters(*ours)
            activations = mlp.forward(parameters, x, t)
            grads = mlp.backward(parameters, x, t, activations)
            curves.batch(f"torch on {device}", loss.item(), to_numpy(logits), t)
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
