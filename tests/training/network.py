"""The network that is trained, in torch and in NumPy: its batches, and its optimizers."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from reference import mlp
from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step

HIDDEN, CLASSES = 256, 10

Parameters = dict[str, Any]  # by name, torch tensors or arrays

OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}),
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 1e-2}),
}
REFERENCE_STEPS: dict[str, Callable[..., Any]] = {"adam": adam_step, "adamw": adamw_step}


class Nodes(NamedTuple):
    """What torch's forward pass computes, node by node (see `mlp.Activations`)."""

    hidden_input: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor
    loss: torch.Tensor


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


def torch_forward(params: list[torch.Tensor], images: Any, labels: Any) -> Nodes:
    weight1, bias1, weight2, bias2 = params
    x, t = (torch.from_numpy(array).to(weight1.device) for array in (images, labels))
    hidden_input = F.linear(x, weight1, bias1)
    hidden = F.relu(hidden_input)
    logits = F.linear(hidden, weight2, bias2)
    return Nodes(hidden_input, hidden, logits, F.cross_entropy(logits, t))


def torch_backward(nodes: Nodes) -> None:
    """With the gradient of every node kept, not of the parameters only."""
    for node in nodes:
        node.retain_grad()
    nodes.loss.backward()


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
