"""What the losses refuse: torch raises, and the reference raises ValueError in one clear line.

On the CPU alone, because a label that is no class ends a CUDA process.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference.cross_entropy import cross_entropy
from reference.l1_loss import l1_loss
from reference.mse_loss import mse_loss
from reference.nll_loss import nll_loss
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets
from tests.harness.verdict import check

LOSSES: dict[str, tuple[Any, Any]] = {
    "nll_loss": (F.nll_loss, nll_loss),
    "cross_entropy": (F.cross_entropy, cross_entropy),
    "mse_loss": (F.mse_loss, mse_loss),
    "l1_loss": (F.l1_loss, l1_loss),
}
BY_LABELS, OF_REGRESSION = ("nll_loss", "cross_entropy"), ("mse_loss", "l1_loss")

Options = dict[str, Any]


def labels(*shape: int, fill: int = 0) -> np.ndarray:
    return np.full(shape, fill)


WRONG_LABELS = [
    ((3, 4), np.array([0, 1, 4]), {}),
    ((3, 4), np.array([0, 1, -1]), {}),
    ((3, 4), labels(3, fill=-100), {"ignore_index": 0}),
    ((4,), labels(fill=4), {}),
    ((2, 3, 5), labels(2, 5, fill=3), {}),
    ((2, 3, 5, 1), labels(2, 5, 1, fill=-1), {}),
    ((2, 3, 5, 1, 2), labels(2, 5, 1, 2, fill=3), {"reduction": "none"}),
]
WRONG_SHAPES = [
    ((3, 4), labels(2), {}),
    ((3, 4), labels(3, 4), {}),
    ((1, 4), labels(), {}),
    ((2, 3, 4), labels(2, 5), {}),
    ((2, 3, 4, 5), labels(2, 5, 4), {}),
    ((), labels(), {}),
    ((3, 4), labels(3), {"weight": np.ones(3)}),
    ((3, 4), labels(3), {"weight": np.ones((1, 4))}),
    ((4,), labels(), {"weight": np.ones(1)}),
]
UNKNOWN = [((3, 4), labels(3), {"reduction": "average"})]
OF_PROBABILITIES: list[tuple[tuple[int, ...], np.ndarray, Options]] = [
    ((3, 4), np.ones((3, 5)), {}),
    ((3, 4), np.ones((3, 4)), {"weight": np.ones(3)}),
    ((3, 4), np.ones((3, 4)), {"ignore_index": 0}),
    ((3, 4), np.ones((3, 4)), {"label_smoothing": 1.5}),
    ((3, 4), labels(3), {"label_smoothing": 1.5}),
]
OF_NUMBERS: list[tuple[tuple[int, ...], np.ndarray, Options]] = [
    ((3, 4), np.ones((3, 4)), {"reduction": "average"}),
    ((3, 4), np.ones((3, 4)), {"weight": np.ones(4)}),
    ((3, 4), np.ones((3, 4)), {"weight": np.ones((3, 4)), "reduction": "average"}),
]
CASES = [
    *((name, *case) for name in BY_LABELS for case in WRONG_LABELS + WRONG_SHAPES + UNKNOWN),
    *(("cross_entropy", *case) for case in OF_PROBABILITIES),
    *((name, *case) for name in OF_REGRESSION for case in OF_NUMBERS),
]


@pytest.mark.parametrize(("name", "shape", "target", "options"), CASES)
def test_what_does_not_fit_is_refused_on_both_sides(
    name: str, shape: tuple[int, ...], target: np.ndarray, options: Options
) -> None:
    theirs, ours = LOSSES[name]
    input = np.zeros(shape)
    with pytest.raises(ValueError, match=r"^\w+: [^\n]+$"):
        ours(input, target, **options)
    tensors = {n: torch.from_numpy(v) if n == "weight" else v for n, v in options.items()}
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        theirs(torch.from_numpy(input), torch.from_numpy(target), **tensors)


@pytest.mark.xfail(
    reason="torch takes it for 0: https://github.com/pytorch/pytorch/issues/134767",
    raises=pytest.fail.Exception,
    strict=True,
)
@pytest.mark.parametrize("label_smoothing", [-0.1, math.nan])
def test_label_smoothing_below_0_is_refused_on_both_sides(label_smoothing: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing: "):
        cross_entropy(np.zeros((3, 4)), labels(3), label_smoothing=label_smoothing)
    with pytest.raises(RuntimeError, match="label_smoothing must be between"):
        F.cross_entropy(
            torch.zeros(3, 4), torch.from_numpy(labels(3)), label_smoothing=label_smoothing
        )


@pytest.mark.parametrize("name", OF_REGRESSION)
def test_to_broadcast_is_refused_here_and_warned_of_by_torch(targets: Targets, name: str) -> None:
    """What torch then averages is every pair."""
    theirs, ours = LOSSES[name]
    input, truth = np.arange(3.0)[:, None], np.arange(4.0)
    with pytest.raises(ValueError, match="target: "):
        ours(input, truth)
    pairs = np.broadcast_arrays(input, truth)
    for dtype, paths in targets.by_dtype("functional"):
        ops = Rounding.op_by_op(dtype)
        for target in paths:
            x, t = (
                torch.from_numpy(v).to(target.device, target.torch_dtype) for v in (input, truth)
            )
            with pytest.warns(UserWarning, match="different to the input size"):
                loss = theirs(x, t)
            check(name, "loss", target, loss, ops.stored(ours(*map(ops.array, pairs))))
