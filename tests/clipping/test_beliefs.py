"""What people believe about clipping gradients: by value, by norm, and where it goes."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from tests.claims.claim import Claim, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.border import to_numpy
from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

gradients = shapes(min_dims=1, max_dims=2, max_elements=17).flatmap(
    lambda shape: arrays(shape, "uniform", "contiguous", special=False)
)
limits = st.sampled_from((0.125, 1.0, 3.0, 100.0))


def with_gradient(array: DrawnArray, target: Target) -> torch.Tensor:
    p = torch.zeros(array.shape, dtype=target.torch_dtype, device=target.device)
    p.grad = array.tensor(target)
    return p


def of(*gradient: float) -> torch.Tensor:
    p = torch.zeros(len(gradient), dtype=torch.float64)
    p.grad = torch.tensor(gradient, dtype=torch.float64)
    return p


def clipped(p: torch.Tensor) -> list[float]:
    assert p.grad is not None
    return to_numpy(p.grad).tolist()


@holds("C1", "clipping by value puts every entry into [-c, c]")
@fewer
@given(array=gradients, limit=limits)
def test_clipping_by_value_clamps(
    claim: Claim, targets: Targets, array: DrawnArray, limit: float
) -> None:
    for target, _ in wide(targets):
        p = with_gradient(array, target)
        clip_grad_value_([p], limit)
        expected = np.clip(array.numbers(target.dtype), -limit, limit).tolist()
        assert clipped(p) == expected
    p = of(3.0, -4.0)
    clip_grad_value_([p], 3.5)
    claim.shows(f"(3, -4) with c = 3.5: {clipped(p)}")


def scaled_to(gradient: Any, norm: Any, limit: float) -> Any:
    """Give g min(1, c / (norm + 1e-6))."""
    factor = limit / (norm + 1e-6)
    return gradient * np.where(factor <= 1.0, factor, 1.0)


@holds_with_care(
    "C2",
    "clipping by norm scales all gradients by max_norm / norm when norm > max_norm",
    "by min(1, max_norm / (norm + 1e-6)): at norm = max_norm, too, and to a little less",
)
@fewer
@given(array=gradients, limit=limits)
def test_clipping_by_norm_scales_by_a_little_less(
    claim: Claim, targets: Targets, array: DrawnArray, limit: float
) -> None:
    for target, rounding in wide(targets):
        p = with_gradient(array, target)
        clip_grad_norm_([p], limit)
        gradient = rounding.array(array.numbers(target.dtype))
        norm = np.sqrt((gradient * gradient).sum())
        expected = rounding.stored(scaled_to(gradient, norm, limit))
        check("clip_grad_norm", "gradient", target, p.grad, expected)
    p = of(3.0, 4.0)
    clip_grad_norm_([p], 5.0)
    assert all(a < b for a, b in zip(clipped(p), (3.0, 4.0), strict=True))
    claim.shows(f"(3, 4) with max_norm 5: ({clipped(p)[0]:.7f}, {clipped(p)[1]:.7f})")


@holds("C3", "clipping by norm keeps the gradient's direction; by value may change it")
@fewer
@given(array=gradients, limit=limits)
def test_clipping_by_norm_keeps_the_direction(
    claim: Claim, targets: Targets, array: DrawnArray, limit: float
) -> None:
    """c_i = f g_i (1 + d_i) with |d_i| <= u, so c_i g_j - c_j g_i is at most 2u of its terms."""
    for target, _ in wide(targets):
        p = with_gradient(array, target)
        before = [Fraction(g) for g in array.numbers(target.dtype).reshape(-1).tolist()]
        clip_grad_norm_([p], limit)
        assert p.grad is not None
        after = [Fraction(c) for c in to_numpy(p.grad).reshape(-1).tolist()]
        assert all(c * g >= 0 for c, g in zip(after, before, strict=True))
        two_u = Fraction(2.0 ** (1 - FORMATS[target.dtype].precision))
        for (c, g), (c_next, g_next) in pairwise(zip(after, before, strict=True)):
            product = abs(c * g_next)
            assert abs(c * g_next - c_next * g) <= two_u * (1 + two_u) * product
    by_norm, by_value = of(3.0, 4.0), of(3.0, 4.0)
    clip_grad_norm_([by_norm], 2.5)
    clip_grad_value_([by_value], 3.0)
    slopes = [clipped(p)[1] / clipped(p)[0] for p in (of(3.0, 4.0), by_norm, by_value)]
    assert slopes[2] == 1
    shown = "slope of (3, 4): {:.2f}; clipped by norm to 2.5: {:.2f}; by value to 3: {:.2f}"
    claim.shows(shown.format(*slopes))


whole = st.lists(st.integers(-9, 9), min_size=1, max_size=4)


@holds("C4", "clipping goes between backward() and step(); elsewhere the result differs")
@given(start=whole, limit=st.integers(1, 4), old=st.integers(-9, 9))
def test_clipping_goes_between_backward_and_step(
    claim: Claim, start: list[int], limit: int, old: int
) -> None:
    """The loss is the sum of p²/2, so the gradient is p; lr = 1/2; nothing rounds."""

    def trained(
        place: str, start: list[int] = start, limit: int = limit, old: int = old
    ) -> tuple[list[float], list[float]]:
        p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        p.grad = torch.full_like(p, old)
        if place == "before backward":
            clip_grad_value_([p], limit)
        (p * p / 2).sum().backward()
        if place == "before step":
            clip_grad_value_([p], limit)
        torch.optim.SGD([p], lr=0.5, foreach=False).step()
        if place == "after step":
            clip_grad_value_([p], limit)
        return p.tolist(), clipped(p)

    x = np.array(start, np.float64)
    both, cut = x + old, lambda g: np.clip(g, -limit, limit)
    for place, stepped_by, left in (
        ("before backward", cut(np.array(float(old))) + x, cut(np.array(float(old))) + x),
        ("before step", cut(both), cut(both)),
        ("after step", both, cut(both)),
    ):
        assert trained(place) == ((x - stepped_by / 2).tolist(), left.tolist()), place
    places = ("before step", "before backward", "after step")
    right, early, late = (trained(place, [4], 1, 0)[0][0] for place in places)
    assert right not in (early, late)
    claim.shows(
        f"p = 4, gradient 4, clipped to 1, lr 1/2: {right}; clipped before backward() {early},"
        f" after step() {late}"
    )


@holds("C5", "clipping by norm takes any norm type, infinity included")
@given(
    drawn=st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=4), min_size=1, max_size=3),
    kind=st.sampled_from((1, 2, 3, 4, math.inf)),
)
def test_any_norm_type(claim: Claim, drawn: list[list[int]], kind: float) -> None:
    """Of whole numbers, so that the exact sum of powers is one.

    Each power is faithful, 2u; and so is each root, but for its exponent 1/p, which is rounded and
    costs another ln(S) u. With n additions, once for each parameter and once for all, the norm is
    off by 2 (n + 4 + ln S) u, and its p-th power by p times that.
    """
    params = [of(*map(float, gradient)) for gradient in drawn]
    total = Fraction(clip_grad_norm_(params, 1.0, norm_type=kind).item())
    sizes = [abs(g) for gradient in drawn for g in gradient]
    if kind == math.inf:
        assert total == max(sizes)
    else:
        exact, p = sum(size ** int(kind) for size in sizes), int(kind)
        lost = p * 2 * (len(sizes) + 4 + math.log(max(1, exact))) * 2.0**-53
        assert abs(total**p - exact) <= Fraction(lost * 1.01) * exact
    norms = {p: clip_grad_norm_([of(3.0, 4.0)], 9.0, norm_type=p).item() for p in (1, 2, math.inf)}
    claim.shows("(3, 4): " + ", ".join(f"norm {n:g} of type {p:g}" for p, n in norms.items()))
