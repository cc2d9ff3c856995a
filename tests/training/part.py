"""A part of a step that deviates by itself, where the whole step of MNIST does: for its script.

Of the gradients, few images, pixels and hidden units; of the update, few elements.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from tests.harness.reproducer.pause import literal

SIZES = ((1, 2, 2), (2, 8, 4), (8, 64, 16), (128, 784, 256))  # images, pixels, hidden units


def parts_of_network(
    params: list[torch.Tensor], images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[list[torch.Tensor], np.ndarray, np.ndarray]]:
    """Networks within the network, the smallest first, with images of the pixels that have ink."""
    for count, pixels, hidden in SIZES:
        ink = np.argsort(-images[:count].sum(axis=0), kind="stable")[:pixels]
        yield of_units(params, ink, hidden), images[:count, ink], labels[:count].copy()


@literal
def of_units(params: list[torch.Tensor], pixels: np.ndarray, hidden: int) -> list[torch.Tensor]:
    weight1, bias1, weight2, bias2 = (p.detach() for p in params)
    columns = torch.from_numpy(pixels).to(weight1.device)
    parts = weight1[:hidden, columns], bias1[:hidden], weight2[:, :hidden], bias2
    return [part.clone().requires_grad_() for part in parts]


def parts_of_update(
    optimizer: Callable[..., torch.optim.Optimizer],
    options: dict[str, Any],
    before: dict[str, torch.Tensor],
    step: int,
) -> Iterator[tuple[torch.optim.Optimizer, torch.Tensor, dict[str, torch.Tensor]]]:
    """Optimizers of the elements with the largest gradients, and what each begins with."""
    largest = literal(torch.argsort)(literal(torch.abs)(before["grad"]), descending=True)
    for count in (2, 64, before["param"].numel()):
        given = {name: of_elements(x, largest[:count]) for name, x in before.items()}
        param = literal(torch.Tensor.requires_grad_)(of_elements(given["param"]))
        opt = optimizer([param], **options)
        param.grad = of_elements(given["grad"])
        state = {name: of_elements(x) for name, x in given.items() if name not in ("param", "grad")}
        if "exp_avg" in state:
            state["step"] = torch.tensor(float(step - 1))
        if state:
            groups = opt.state_dict()["param_groups"]
            opt.load_state_dict({"state": {0: state}, "param_groups": groups})
        yield opt, param, given


@literal
def of_elements(vector: torch.Tensor, elements: Any = slice(None)) -> torch.Tensor:
    return vector.detach()[elements].clone()
