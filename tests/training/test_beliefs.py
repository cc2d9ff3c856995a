"""What people believe about training: what a step is, and what gradients show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_value_

from reference.linear import linear, linear_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward
from reference.sgd import sgd_step
from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer, wide
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class Step:
    """A network, by its weights and biases from the input on, a batch, and a limit to clip to."""

    layers: tuple[tuple[DrawnArray, DrawnArray], ...]
    input: DrawnArray
    limit: float | None


@st.composite
def steps(draw: st.DrawFn) -> Step:
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    family = draw(st.sampled_from(("integers", "uniform")))

    def array(*shape: int) -> DrawnArray:
        return draw(arrays(shape, family, "contiguous", special=False))

    layers = tuple((array(o, i), array(o)) for i, o in pairwise(widths))
    rows = draw(st.integers(1, 5))
    return Step(layers, array(rows, widths[0]), draw(st.sampled_from((None, 0.125, 1.0))))


def reference_step(step: Step, labels: Any, rounding: Any, dtype: str) -> tuple[Any, Any]:
    """The loss, and for each layer from the last on its two parameters after the step."""
    layers = [[rounding.array(array.numbers(dtype)) for array in layer] for layer in step.layers]
    inputs = [rounding.array(step.input.numbers(dtype))]
    outputs = []
    for weight, bias in layers:
        outputs.append(linear(inputs[-1], weight, bias))
        inputs.append(relu(outputs[-1]))
    log_probabilities = log_softmax(outputs[-1])
    loss = nll_loss(log_probabilities, labels)
    grad = nll_loss_backward(rounding.array(np.asarray(1.0)), log_probabilities, labels)
    grad = log_softmax_backward(grad, log_probabilities)
    after = []
    for number in reversed(range(len(layers))):
        grad, *grads = linear_backward(grad, inputs[number], layers[number][0])
        if step.limit is not None:
            low, high = -step.limit, step.limit
            grads = [np.where(g <= low, low, np.where(g <= high, g, high)) for g in grads]
        after.append(
            [sgd_step(p, g, lr=0.5)[0] for p, g in zip(layers[number], grads, strict=True)]
        )
        if number:
            grad = relu_backward(grad, outputs[number - 1])
    return loss, after


@holds("N1", "one training step: forward, loss, zero_grad, backward, (clip), step")
@fewer
@given(step=steps())
def test_a_training_step_of_any_network_equals_the_reference(
    claim: Claim, targets: Targets, step: Step
) -> None:
    rows, classes = step.input.shape[0], step.layers[-1][0].shape[0]
    labels = np.arange(rows) % classes
    for target, rounding in wide(targets):
        modules: list[nn.Module] = []
        for weight, bias in step.layers:
            layer = nn.Linear(1, 1)
            layer.weight = nn.Parameter(weight.tensor(target))
            layer.bias = nn.Parameter(bias.tensor(target))
            modules += [layer, nn.ReLU()]
        model = nn.Sequential(*modules[:-1])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for p in model.parameters():  # of a step before, which zero_grad must clear
            p.grad = torch.full_like(p, 7)
        loss = F.cross_entropy(
            model(step.input.tensor(target)), torch.from_numpy(labels).to(target.device)
        )
        optimizer.zero_grad()
        loss.backward()
        if step.limit is not None:
            clip_grad_value_(model.parameters(), step.limit)
        optimizer.step()
        expected, after = reference_step(step, labels, rounding, target.dtype)
        check("training step", "loss", target, loss, rounding.stored(expected))
        for module, params in zip(modules[-2::-2], after, strict=True):
            for p, want in zip(module.parameters(), params, strict=True):
                check("training step", "param", target, p, rounding.stored(want))
    claim.shows(one_number_trained())


def one_number_trained() -> str:
    p = nn.Parameter(torch.tensor(3.0))
    optimizer, losses = torch.optim.SGD([p], lr=0.5), []
    for _ in range(3):
        loss = p * p / 2
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return f"loss p²/2 from p = 3, SGD, lr 0.5: losses {losses}, p = {p.item()}"


@holds(
    "N2",
    "gradient norms, layer by layer, show whether they vanish or explode",
    "back through a layer of width n with weights of size s they grow by s sqrt(n), as activations"
    " do on the way there",
)
def test_gradients_grow_as_the_weights_predict(claim: Claim) -> None:
    """|W^T g|² / |g|² is s² times a chi-squared number of n degrees: 1 ± 6 sqrt(2/n), as in I3."""
    width, depth = 256, 8
    spread, shown = 6 * math.sqrt(2 / width), []
    for size in (1.0, 1 / width, 1 / math.sqrt(width)):
        random = np.random.default_rng(2)
        x = torch.from_numpy(random.standard_normal(width)).requires_grad_()
        values = [x]
        for _ in range(depth):
            weight = torch.from_numpy(size * random.standard_normal((width, width)))
            values.append(F.linear(values[-1], weight))
            values[-1].retain_grad()
        values[-1].backward(torch.from_numpy(random.standard_normal(width)))
        norms = [v.grad.norm().item() for v in values if v.grad is not None]
        for before, after in pairwise(norms):
            ratio = (before / after) ** 2 / (size**2 * width)
            assert 1 - spread <= ratio <= 1 + spread
        shown.append(norms[0] / norms[-1])
    exploded, vanished, kept = shown
    claim.shows(
        f"8 layers, 256 wide: times {exploded:.0e} with s = 1, {vanished:.0e} with 1/256,"
        f" {kept:.1f} with 1/16"
    )
