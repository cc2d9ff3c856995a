"""The cases of the losses of classification: scores, and labels or probabilities of the classes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import LAYOUTS, layouts
from tests.harness.strategies.shapes import sides
from tests.harness.strategies.values import families
from tests.harness.targets import Target

REDUCTIONS = ("mean", "sum", "none")
ROWS = 257  # at most; in half types a mean over more of them says nothing

reductions = st.sampled_from(REDUCTIONS)
smoothings = st.sampled_from((0.0, 0.1, 0.5, 1.0)) | st.floats(0, 1)
tame = st.sampled_from(("integers", "dyadic", "uniform"))


class NonNegative(DrawnArray):
    """An array without its signs: weights, or probabilities."""

    def numbers(self, dtype: str) -> np.ndarray:
        return np.abs(super().numbers(dtype))


@dataclass(frozen=True)
class LabelCase:
    """Scores, the true classes, the options, and the gradient that comes back to the loss."""

    input: DrawnArray
    target: np.ndarray
    target_layout: str
    weight: DrawnArray | None
    ignore_index: int
    reduction: str
    grad_output: DrawnArray

    @property
    def options(self) -> dict[str, Any]:
        """As torch and the reference both take them."""
        return {"ignore_index": self.ignore_index, "reduction": self.reduction}

    def labels(self, target: Target) -> torch.Tensor:
        labels = torch.from_numpy(self.target.copy()).to(target.device)
        return LAYOUTS[self.target_layout](labels)


@st.composite
def score_shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """(N, C, *positions), or (C,) for a row without a batch; mostly (N, C)."""
    dims = draw(st.sampled_from((2, 2, 1, 3, 4, 5)))
    rows: tuple[int, ...] = ()
    for _ in range(dims - 1):
        rows += (draw(sides(at_most=ROWS // max(1, math.prod(rows)))),)
    classes = draw(sides(at_least=1, at_most=4096 // max(1, math.prod(rows))))
    return (*rows[:1], classes, *rows[1:])


def rows_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of scores: the shape of their labels."""
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def class_count(shape: tuple[int, ...]) -> int:
    return shape[1] if len(shape) > 1 else shape[0]


@st.composite
def weights(draw: st.DrawFn, classes: int) -> DrawnArray:
    return NonNegative(**vars(draw(arrays((classes,), draw(tame), special=0))))


@st.composite
def label_cases(draw: st.DrawFn) -> LabelCase:
    shape = draw(score_shapes())
    rows, classes = rows_of(shape), class_count(shape)
    count = math.prod(rows)
    words = np.frombuffer(draw(st.binary(min_size=2 * count, max_size=2 * count)), ">u2").astype(np.int64)
    ignore_index = draw(st.sampled_from((-100, -100, -1, 0, classes - 1, classes)))
    least_ignored = draw(st.sampled_from((2**16, 2**15, 2**15, 2**14, 2**16, 0)))
    labels = np.where(words < least_ignored, words % classes, ignore_index).reshape(rows)
    layout = draw(layouts)
    if layout == "expanded" and rows:
        labels = np.broadcast_to(labels[:1], rows)
    reduction = draw(reductions)
    return LabelCase(
        input=draw(arrays(shape, draw(families))),
        target=labels,
        target_layout=layout,
        weight=draw(st.none() | weights(classes)),
        ignore_index=ignore_index,
        reduction=reduction,
        grad_output=draw(arrays(rows if reduction == "none" else (), draw(families), special=0)),
    )


@dataclass(frozen=True)
class ProbabilityCase:
    """Scores, the probabilities of the classes, and what comes back to the loss."""

    input: DrawnArray
    target: DrawnArray
    weight: DrawnArray | None
    reduction: str
    grad_output: DrawnArray
    frozen: tuple[str, ...]


@st.composite
def probability_cases(draw: st.DrawFn) -> ProbabilityCase:
    shape, reduction = draw(score_shapes()), draw(reductions)
    back = rows_of(shape) if reduction == "none" else ()
    return ProbabilityCase(
        input=draw(arrays(shape, draw(families))),
        target=NonNegative(**vars(draw(arrays(shape, draw(tame), special=1 / 16)))),
        weight=draw(st.none() | weights(class_count(shape))),
        reduction=reduction,
        grad_output=draw(arrays(back, draw(families), special=0)),
        frozen=draw(st.sampled_from(((), ("target",), ("input",)))),
    )
