"""The cases of the losses of classification: scores, and labels or probabilities of the classes."""

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from reference.reduction import REDUCTIONS
from tests.harness.reproducer.pause import literal
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.hyperparameters import floats
from tests.harness.strategies.layouts import LAYOUTS, layouts_of
from tests.harness.strategies.shapes import room, sides
from tests.harness.strategies.values import families, values
from tests.harness.targets import Target

ROWS = 257  # at most; in half types a mean over more of them says nothing

reductions = st.sampled_from(REDUCTIONS)
smoothings = st.sampled_from((0.0, 0.0, 0.1, 0.5, 1.0)) | floats(0, 1)
tame = st.sampled_from(("integers", "dyadic", "uniform"))


class NonNegative(DrawnArray):
    """An array without its signs: weights, or probabilities."""

    def made(self, dtype: str) -> np.ndarray:
        return np.asarray(np.abs(super().made(dtype)))


@dataclass(frozen=True)
class Labels:
    """The true classes, in a layout."""

    numbers: np.ndarray
    layout: str

    @literal
    def tensor(self, target: Target) -> torch.Tensor:
        return LAYOUTS[self.layout](torch.from_numpy(self.numbers.copy()).to(target.device))


@dataclass(frozen=True)
class LabelCase:
    """Scores, the true classes, the options, and the gradient that comes back to the loss."""

    input: DrawnArray
    target: Labels
    weight: DrawnArray | None
    ignore_index: int
    reduction: str
    grad_output: DrawnArray

    @property
    def options(self) -> dict[str, Any]:
        """As torch and the reference both take them."""
        return {"ignore_index": self.ignore_index, "reduction": self.reduction}


@cache
@st.composite
def score_shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """(N, C, *positions), or (C,) for a row without a batch; mostly (N, C)."""
    dims = draw(st.sampled_from((2, 2, 2, 1, 3, 4, 5)))
    rows: tuple[int, ...] = ()
    for _ in range(dims - 1):
        rows += (draw(sides(at_most=room(ROWS, rows))),)
    if dims == 2 and draw(st.integers(0, 3)) == 3:
        rows = (draw(st.sampled_from((65, 128, 129, ROWS))),)  # more than a block
    classes = draw(sides(at_least=1, at_most=room(2048, rows)))
    return (*rows[:1], classes, *rows[1:])


def rows_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of scores: the shape of their labels."""
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def class_count(shape: tuple[int, ...]) -> int:
    return shape[1] if len(shape) > 1 else shape[0]


@cache
@st.composite
def weights(draw: st.DrawFn, classes: int) -> DrawnArray:
    """Of which one in eight is zero throughout."""
    numbers = draw(values(classes, draw(tame), special=0))
    if draw(st.integers(0, 7)) == 7:
        numbers = replace(numbers, family="integers", words=bytes(len(numbers.words)))
    return NonNegative((classes,), numbers, draw(layouts_of(1)))


@lru_cache(maxsize=1000)
@st.composite
def labels(draw: st.DrawFn, rows: tuple[int, ...], classes: int, ignore_index: int) -> Labels:
    """Of which none, about half, about three quarters or all are ignored."""
    length = 2 * math.prod(rows)
    words = np.frombuffer(draw(st.binary(min_size=length, max_size=length)), ">u2").astype(np.int64)
    least_ignored = draw(st.sampled_from((2**16, 2**15, 2**15, 2**14, 2**16, 0)))
    numbers = np.where(words < least_ignored, words % classes, ignore_index).reshape(rows)
    layout = draw(layouts_of(len(rows)))
    if layout == "expanded" and rows:
        numbers = np.broadcast_to(numbers[:1], rows)
    return Labels(numbers, layout)


@cache
@st.composite
def label_cases(draw: st.DrawFn) -> LabelCase:
    shape, reduction = draw(score_shapes()), draw(reductions)
    rows, classes = rows_of(shape), class_count(shape)
    ignore_index = draw(st.sampled_from((-100, -100, -1, 0, classes - 1, classes)))
    return LabelCase(
        input=draw(arrays(shape, draw(families))),
        target=draw(labels(rows, classes, ignore_index)),
        weight=draw(st.none() | weights(classes)),
        ignore_index=ignore_index,
        reduction=reduction,
        grad_output=draw(arrays(rows if reduction == "none" else (), draw(families), special=0)),
    )


@dataclass(frozen=True)
class CrossEntropyCase:
    """The same with label_smoothing; and with probabilities in place of labels, or not."""

    input: DrawnArray
    target: Labels | DrawnArray
    weight: DrawnArray | None
    options: dict[str, Any]
    grad_output: DrawnArray
    frozen: tuple[str, ...]

    @property
    def soft(self) -> bool:
        return isinstance(self.target, DrawnArray)

    def target_numbers(self, dtype: str) -> np.ndarray:
        target = self.target
        return target.numbers if isinstance(target, Labels) else target.numbers(dtype)


@st.composite
def cross_entropy_cases(draw: st.DrawFn) -> CrossEntropyCase:
    case = draw(label_cases())
    options = case.options | {"label_smoothing": draw(smoothings)}
    target: Labels | DrawnArray = case.target
    frozen = st.just(())
    if draw(st.booleans()):
        family = draw(tame)
        target = NonNegative(**vars(draw(arrays(case.input.shape, family, special=1 / 16))))
        del options["ignore_index"]
        frozen = st.sampled_from(((), ("target",), ("input",)))
    given = (case.input, target, case.weight, options, case.grad_output)
    return CrossEntropyCase(*given, draw(frozen))
