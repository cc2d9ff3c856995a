"""The cases of dropout that are drawn, and where torch's generator begins."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.hyperparameters import floats
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families

Dropout = Callable[..., torch.Tensor]

LAYERS: dict[str, tuple[Dropout, Callable[..., torch.nn.Module], tuple[int, int]]] = {
    "dropout": (F.dropout, torch.nn.Dropout, (0, 5)),
    "dropout1d": (F.dropout1d, torch.nn.Dropout1d, (2, 3)),
    "dropout2d": (F.dropout2d, torch.nn.Dropout2d, (4, 4)),
    "dropout3d": (F.dropout3d, torch.nn.Dropout3d, (4, 5)),
}
"""Function, module, and the least and the most dimensions; with the least of two, no batch."""

probabilities = st.sampled_from((0.5, 0.25, 0.0, 1.0, 0.1)) | floats(0, 0.999)
seeds = st.integers(0, 2**63 - 1)


@dataclass(frozen=True)
class DropoutCase:
    """A layer, its input, the gradient that comes back, and where torch's generator begins."""

    name: str
    input: DrawnArray
    grad_output: DrawnArray
    p: float
    training: bool
    inplace: bool
    seed: int


@st.composite
def dropout_cases(draw: st.DrawFn) -> DropoutCase:
    name = draw(st.sampled_from(tuple(LAYERS)))
    shape = draw(shapes(*LAYERS[name][2]))
    family = draw(families)
    return DropoutCase(
        name=name,
        input=draw(arrays(shape, family)),
        grad_output=draw(arrays(shape, family)),
        p=draw(probabilities),
        training=draw(st.integers(0, 7)) < 7,
        inplace=draw(st.booleans()),
        seed=draw(seeds),
    )


def begin(seed: int, input: torch.Tensor) -> None:
    """Set the generator that the input's device draws from."""
    if input.device.type == "cpu":
        # torch.manual_seed also notes the seed, with its stack, for devices not yet in use.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def channels_of(name: str, mask: np.ndarray) -> np.ndarray:
    """The mask with its positions in a channel reduced to one, which stands for all of them."""
    if name == "dropout":
        return mask
    batched = mask.ndim == LAYERS[name][2][1]
    one = (slice(None),) * (1 + batched) + (slice(0, 1),) * (mask.ndim - 1 - batched)
    return mask[one]
