"""The graph: building it on the way forward, and the walk back, of a two-layer network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference import mlp
from reference.graph import Tensor
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import SIZES, numbers
from tests.harness.targets import Targets


@pytest.mark.parametrize("side", ["torch", "reference"])
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_backward(timed: Timed, targets: Targets, size: int, side: str) -> None:
    """On as many images as pixels, hidden units and classes."""
    arrays = numbers(size, size), numbers(size), numbers(1, size, size)[0], numbers(size) + 1
    images, labels = numbers(2, size, size)[0], np.arange(size)
    if side == "reference":
        leaves = [Tensor(array, requires_grad=True) for array in arrays]

        def forward_and_backward() -> None:
            mlp.recorded_forward(leaves, images, labels)[-1].backward()
    else:
        device = targets.devices[0]
        params = [torch.tensor(array, device=device, requires_grad=True) for array in arrays]
        x, target = (torch.tensor(array, device=device) for array in (images, labels))

        def forward_and_backward() -> None:
            hidden = F.relu(F.linear(x, *params[:2]))
            F.cross_entropy(F.linear(hidden, *params[2:]), target).backward()

    timed("graph", side, size, forward_and_backward)
