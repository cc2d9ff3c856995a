"""What is recorded, what is kept for the way back, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.autograd.graph import saved_tensors_hooks

from tests.autograd.test_gradients import first, square, whole
from tests.claims.claim import Claim, does_not_hold, holds
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check


@holds(
    "G9",
    "saved values are freed by backward(): a second one raises, but for retain_graph=True",
    "with it, the second adds to the first; operations that saved nothing, like +, may run again",
)
@given(array=whole, retained=st.integers(0, 3))
def test_a_graph_can_be_walked_again_only_if_it_was_retained(
    claim: Claim, targets: Targets, array: DrawnArray, retained: int
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = (x * x).sum()
        for _ in range(retained):
            y.backward(retain_graph=True)
        y.backward()
        assert x.grad is not None
        assert torch.equal(x.grad, (retained + 1) * 2 * x.detach())
        with pytest.raises(RuntimeError, match="through the graph a second time"):
            y.backward()
        again = array.tensor(target, requires_grad=True)
        y = (again + again).sum()
        y.backward()
        y.backward()
        assert again.grad is not None
        assert torch.equal(again.grad, torch.full_like(again, 4.0))
    x = torch.tensor(3.0, requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    claim.shows(f"x = 3, x² retained and walked back twice: x.grad = {x.grad}")


@holds(
    "G13",
    "no_grad builds no graph, and its results are leaves",
    "a view made in it still says that it requires grad, but leads nowhere",
)
@given(array=whole)
def test_nothing_is_recorded_under_no_grad(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        with torch.no_grad():
            y, view = x * x, x[:1]
        for result in (y, view):
            assert result.is_leaf
            assert result.grad_fn is None
        assert not y.requires_grad
        assert view.requires_grad  # https://github.com/pytorch/pytorch/issues/11390
        with pytest.raises(RuntimeError, match="does not require grad"):
            y.sum().backward()
        (view * view).sum().backward()
        assert x.grad is None
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        results = {"x * x": x * x, "x[0]": x[0]}
    claim.shows(
        "; ".join(
            f"{name}: is_leaf {y.is_leaf}, grad_fn {y.grad_fn}, requires_grad {y.requires_grad}"
            for name, y in results.items()
        )
    )


STEPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "plus its reverse": lambda y: y + y.flip(0),
    "times its reverse": lambda y: y * y.flip(0),
}


def run_and_count(steps: list[str], y: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The result of some steps, and how many tensors they have kept for the way back."""
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        for step in steps:
            y = STEPS[step](y)
    return y, len(kept)


@does_not_hold(
    "G16",
    "forward mode is the memory hog",
    "reverse mode keeps a value of every step, forward mode none; both agree: ⟨v, Ju⟩ = ⟨Jᵀv, u⟩",
)
@given(steps=st.lists(st.sampled_from(tuple(STEPS)), min_size=1, max_size=3), drawn=square)
def test_reverse_mode_keeps_what_forward_mode_carries_along(
    claim: Claim, targets: Targets, steps: list[str], drawn: DrawnArray
) -> None:
    for device in targets.devices:
        rows = torch.from_numpy(drawn.numbers("float64").copy()).to(device)
        at, direction, cotangent = rows[0], rows[1], rows.diagonal()
        leaf = at.clone().requires_grad_()
        y, kept = run_and_count(steps, leaf)
        y.backward(cotangent)
        with forward_ad.dual_level():
            dual, carried = run_and_count(steps, forward_ad.make_dual(at, direction))
            tangent = forward_ad.unpack_dual(dual).tangent
        # Whole numbers, and few steps: all of it is exact.
        assert leaf.grad is not None
        assert tangent is not None
        assert cotangent @ tangent == leaf.grad @ direction
        assert kept == steps.count("relu") + 2 * steps.count("times its reverse")
        assert carried == 0
    _, kept = run_and_count(100 * ["relu"], torch.ones(2, requires_grad=True))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones(2), torch.ones(2))
        _, carried = run_and_count(100 * ["relu"], dual)
    claim.shows(f"100 ReLUs: reverse mode keeps {kept} tensors, forward mode {carried}")


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
            check("cube", "gradient", target, leaf.grad, rounding.stored(x * x + 2 * x * x))

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


@holds("G18", "rebinding a name inside a function changes nothing outside, an in-place op does")
@given(array=whole)
def test_names_are_rebound_and_memory_is_changed(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    def rebinds(t: Any) -> None:
        t = t * 2
        t += t  # in place, but of the new one

    def changes(t: Any) -> None:
        t *= 2

    items = [1]
    rebinds(items)
    assert items == [1]
    changes(items)
    assert items == [1, 1]
    for target in first(targets):
        x = array.tensor(target).clone()
        before = x.clone()
        rebinds(x)
        assert torch.equal(x, before)
        changes(x)
        assert torch.equal(x, 2 * before)
    x, seen = torch.tensor(3.0), []
    for function in (rebinds, changes):
        function(x)
        seen.append(f"{x}")
    claim.shows(f"x = 3: after t = t * 2 inside {seen[0]}, after t *= 2 {seen[1]}; a list likewise")


@holds(
    "G19",
    "a change in place of a value that backward needs is detected, and raises",
    "by a version that counts the changes; what backward does not need may change",
)
@given(array=whole, which=st.sampled_from(("product", "relu", "sum")), changed=st.booleans())
def test_an_overwritten_value_is_noticed_if_it_was_needed(
    claim: Claim, targets: Targets, array: DrawnArray, which: str, changed: bool
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = x * 2
        z = {"product": y * y, "relu": torch.relu(y), "sum": y + y}[which]
        saved = {"product": y, "relu": z, "sum": z}[which]
        if changed:
            saved.detach().add_(1)  # the same memory, without leaving a node
        if changed and which != "sum":
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                z.backward(torch.ones_like(z))
        else:
            z.backward(torch.ones_like(z))
    claim.shows("y = 2x, z = y * y, then y += 1: z.backward() raises; after z = y + y it does not")
