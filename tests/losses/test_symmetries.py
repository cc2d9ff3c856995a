"""What the losses must do whatever their formula: torch against torch, bit for bit where exact."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.border import to_numpy
from tests.harness.doors import gradients
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.harness.verdict import deviates
from tests.losses.cases import (
    CrossEntropyCase,
    cross_entropy_cases,
    reductions,
    score_shapes,
)
from tests.losses.test_cross_entropy import Kernels


def differ(first: torch.Tensor, second: torch.Tensor) -> bool:
    return not torch.equal(first.nan_to_num(), second.nan_to_num())


ALIKE = "torch.equal(got[0].nan_to_num(), got[1].nan_to_num())"
few = settings(max_examples=settings().max_examples // 2)  # beside the reference, half will do
whole = st.sampled_from(("integers", "dyadic"))  # sums, and multiples by powers of two, are exact


@few
@given(data=st.data(), shift=st.integers(-8, 8).map(float))
def test_log_softmax_does_not_see_what_is_added_to_all_scores(
    targets: Targets, data: st.DataObject, shift: float
) -> None:
    scores = data.draw(score_shapes().flatmap(lambda s: arrays(s, "dyadic", special=0)))
    dim = min(len(scores.shape) - 1, 1)
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            x = scores.tensor(target)
            both = F.log_softmax(x + shift, dim), F.log_softmax(x + 0.0, dim)
            if differ(*both):
                what = f"changes where {shift} is added to all"
                deviates("log_softmax", "output", target, what, both, ALIKE)


@few
@given(case=cross_entropy_cases())
def test_the_gradient_of_cross_entropy_sums_to_zero_over_the_classes(
    targets: Targets, case: CrossEntropyCase
) -> None:
    """What is added to all scores changes nothing, so the gradient has no component along it."""
    dim = min(len(case.input.shape) - 1, 1)
    for dtype, paths in targets.by_dtype("functional"):
        expected = Kernels(case, dtype).results()["grad_input"]
        with np.errstate(all="ignore"):
            # The sums below, of fewer than 2048 terms, are of float64 numbers.
            lost = 2 * 2048 * 2.0**-53 * expected.absolute.sum(axis=dim)
            limit = expected.bound.sum(axis=dim) + lost
        for target in paths:
            weight = case.weight.tensor(target) if case.weight else None
            _, grads = gradients(
                target,
                partial(F.cross_entropy, weight=weight, **case.options),
                {"input": case.input.tensor(target), "target": case.target.tensor(target)},
                case.grad_output.tensor(target),
            )
            assert grads["input"] is not None
            total = np.abs(to_numpy(grads["input"]).sum(dim))
            wrong = np.isfinite(total) & (total > limit)
            if wrong.any():
                worst = total[wrong].max()
                deviates("cross_entropy", "grad_input", target, f"sums to {worst}, not to 0")


@dataclass(frozen=True)
class ExchangeCase:
    """A prediction and its target, whose roles are exchanged, and units that change."""

    input: DrawnArray
    target: DrawnArray
    reduction: str
    scale: float


@st.composite
def exchange_cases(draw: st.DrawFn) -> ExchangeCase:
    alike = arrays(draw(shapes(max_elements=257)), draw(whole), special=0)
    scale = draw(st.sampled_from((2.0, 0.5, -1.0)))
    return ExchangeCase(draw(alike), draw(alike), draw(reductions), scale)


@few
@given(case=exchange_cases())
def test_mse_and_l1_see_neither_who_predicts_nor_the_units(
    targets: Targets, case: ExchangeCase
) -> None:
    losses = (("mse_loss", F.mse_loss, case.scale**2), ("l1_loss", F.l1_loss, abs(case.scale)))
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            x, t = case.input.tensor(target) + 0.0, case.target.tensor(target) + 0.0
            for name, loss, factor in losses:
                function = partial(loss, reduction=case.reduction)
                of_both = function(x, t)
                if differ(*(got := (function(t, x), of_both))):
                    what = "changes where prediction and truth do"
                    deviates(name, "loss", target, what, got, ALIKE)
                got = function(case.scale * x, case.scale * t), factor * of_both
                if differ(*got):
                    what = f"is not {factor} of itself in other units"
                    deviates(name, "loss", target, what, got, ALIKE)
