"""The cases of BatchNorm that are drawn."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from hypothesis import strategies as st

from reference.batch_statistics import values_per_channel
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.hyperparameters import floats
from tests.harness.strategies.shapes import room, sides

MODULES = {
    2: torch.nn.BatchNorm1d,
    3: torch.nn.BatchNorm1d,
    4: torch.nn.BatchNorm2d,
    5: torch.nn.BatchNorm3d,
}
"""By the dimensions of the input."""

families = st.sampled_from(("integers", "dyadic", "uniform", "wide", "offset", "plateau"))
momenta = st.sampled_from((0.1, 0.0, 1.0, 0.5)) | floats(0, 1)
epsilons = st.sampled_from((1e-5, 1.0, 2.0**-10, 1e-8)) | st.floats(1e-8, 1)


@dataclass(frozen=True)
class BatchNormCase:
    """A batch, the layer's parameters and statistics, and the gradient that comes back."""

    input: DrawnArray
    grad_output: DrawnArray
    weight: DrawnArray | None
    bias: DrawnArray | None
    running: tuple[DrawnArray, DrawnArray] | None  # mean, and the variance but for its sign
    training: bool
    momentum: float
    eps: float
    mixed: bool  # everything that has one number per channel is float32
    frozen: tuple[str, ...]

    @property
    def of_batch(self) -> bool:
        """Whether the batch's own statistics normalise it."""
        return self.training or self.running is None


@cache
@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """(N, C, *positions), at most 4096 numbers; no rows in one of eight, or no positions."""
    channels = draw(sides(at_least=1, at_most=65))
    empty = draw(st.integers(0, 7)) == 7
    rows = 0 if empty else draw(sides(at_most=min(257, 4096 // channels)))
    shape: tuple[int, ...] = (rows, channels)
    for _ in range(draw(st.sampled_from((0, 1, 2, 2, 3)))):  # images above all
        shape += (draw(sides(at_most=room(4096, shape))),)
    return shape


@cache
@st.composite
def vectors(draw: st.DrawFn, channels: int) -> DrawnArray:
    """A finite number for each channel, in memory that may be written to."""
    family = draw(st.sampled_from(("integers", "dyadic", "uniform", "wide")))
    layout = draw(st.sampled_from(("contiguous", "contiguous", "strided")))
    return draw(arrays((channels,), family, layout, special=False))


@st.composite
def batch_norm_cases(draw: st.DrawFn) -> BatchNormCase:
    shape = draw(shapes())
    channels = vectors(shape[1])
    running = draw(st.none() | st.tuples(channels, channels))
    training = draw(st.booleans())
    if values_per_channel(np.empty(shape)) == 1:  # cannot be trained on
        running, training = draw(st.tuples(channels, channels)), False
    return BatchNormCase(
        input=draw(arrays(shape, draw(families))),
        grad_output=draw(arrays(shape, draw(families))),
        weight=draw(st.none() | channels),
        bias=draw(st.none() | channels),
        running=running,
        training=training,
        momentum=draw(momenta),
        eps=draw(epsilons),
        mixed=draw(st.booleans()),
        frozen=draw(st.sampled_from(((), (), ("input",), ("weight",), ("bias", "weight")))),
    )
