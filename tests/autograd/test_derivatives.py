"""Gradients are derivatives: through control flow, entry by entry, and exact to rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.autograd.exact import every, square, whole
from tests.claims.claim import Claim, holds
from tests.harness.border import to_numpy
from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check


@holds("G14", "gradients flow through Python's control flow")
@given(array=whole)
def test_a_loop_and_a_branch_are_differentiated_as_they_ran(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    def f(a: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The notes' function, and by how much it has multiplied."""
        b, times = a * 2, 2
        while b.norm() < 1000:
            b, times = b * 2, times * 2
        return (b, times) if b.sum() > 0 else (100 * b, 100 * times)

    for target in every(targets):
        a = array.tensor(target, requires_grad=True)
        if a.any():  # else it would double forever
            b, times = f(a)
            b.sum().backward()
            assert a.grad is not None
            # Each factor is exact. Their product may be more than a float16 can be.
            exact = FORMATS[target.dtype].round(np.asarray(float(times)))
            assert (to_numpy(a.grad) == exact).all()
    a = torch.tensor([3.0, -4.0], requires_grad=True)
    b, times = f(a)
    b.sum().backward()
    assert a.grad is not None
    assert torch.equal(a.grad, b.detach() / a.detach())
    claim.shows(f"a = (3, -4): f(a) = {times} a, a.grad = f(a) / a = ({times}, {times})")


@holds("G15", ".grad has its tensor's shape and dtype; entry (i, j) is a partial derivative")
@given(x=square, w=square)
def test_an_entry_of_grad_is_a_partial_derivative(
    claim: Claim, targets: Targets, x: DrawnArray, w: DrawnArray
) -> None:
    for target in every(targets):
        leaf = x.tensor(target, requires_grad=True)
        leaf.square().sum().backward()
        assert leaf.grad is not None
        assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)

    numbers, weight = x.numbers("float64").copy(), w.numbers("float64").copy()

    def f(at: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(at) @ torch.from_numpy(weight)).square().sum()

    leaf = torch.from_numpy(numbers.copy()).requires_grad_()
    (leaf @ torch.from_numpy(weight)).square().sum().backward()
    assert leaf.grad is not None
    h = 2.0**-6
    for index in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[index] = h
        # Of a quadratic function, at such numbers, the central difference is exact.
        assert leaf.grad[index] == (f(numbers + step) - f(numbers - step)) / (2 * h)
    leaf = torch.tensor(3.0, requires_grad=True)
    leaf.square().backward()
    difference = ((3 + h) ** 2 - (3 - h) ** 2) / (2 * h)
    claim.shows(f"x² at 3: x.grad = {leaf.grad}, (f(x + h) - f(x - h)) / 2h = {difference}")


@holds(
    "G17",
    "autograd is neither symbolic nor numerical differentiation",
    "it is exact to rounding, where finite differences are not at any step; its graph is the run's",
)
@given(array=st.integers(1, 4).flatmap(lambda n: arrays((n,), "uniform", special=False)))
def test_a_derivative_is_exact_to_rounding(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    for dtype, paths in targets.by_dtype("backward"):
        rounding = Rounding.op_by_op(dtype)
        x = rounding.array(array.numbers(dtype))
        for target in paths:
            leaf = array.tensor(target, requires_grad=True)
            (leaf * leaf * leaf).sum().backward()
            check("cube", "gradient", target, leaf.grad, rounding.stored(x * x + x * x + x * x))

    at = 1 / 3
    leaf = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (leaf * leaf * leaf).backward()
    assert leaf.grad is not None
    exact = 3 * Fraction(at) ** 2
    off = abs(Fraction(float(leaf.grad)) - exact)
    steps = [10.0**-k for k in range(1, 13)]
    differences = [((at + h) ** 3 - (at - h) ** 3) / (2 * h) for h in steps]
    best = min(abs(Fraction(float(d)) - exact) for d in differences)
    # Three products, each rounded once, and the two roundings of their sum: less than 4 u.
    assert off <= exact * Fraction(2) ** -51
    assert best > 100 * off
    claim.shows(
        f"d(x³)/dx at 1/3: autograd is off by {float(off):.0e}, the best central difference"
        f" by {float(best):.0e}"
    )
