"""What is recorded, and what is a constant."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.autograd.exact import first, whole
from tests.claims.claim import Claim, holds
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.targets import Targets


@holds("G11", "only tensors that require grad are tracked")
@given(array=whole, others=st.lists(st.booleans(), min_size=1, max_size=3))
def test_factors_that_need_no_gradient_are_constants(
    claim: Claim, targets: Targets, array: DrawnArray, others: list[bool]
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        factors = [torch.full_like(x, 2.0).requires_grad_(needed) for needed in others]
        z = x * 4
        for factor in factors:
            z = z * factor
        z.sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, torch.full_like(x, 4.0 * 2 ** len(factors)))
        assert [factor.grad is not None for factor in factors] == others
    x, y = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0)
    (x * y * 4).backward()
    assert x.grad == 8
    assert y.grad is None
    claim.shows(f"z = 4xy at x = 3, y = 2: x.grad = {x.grad}, y.grad = {y.grad}")


@holds("G12", "detach() makes a constant of a value, and shares its memory")
@given(array=whole)
def test_no_gradient_passes_through_detach(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = x * x
        u = y.detach()
        (u * x).sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, u)  # and not 3 x²
        assert u.is_leaf
        assert not u.requires_grad
        assert u.data_ptr() == y.data_ptr()
        u.zero_()
        assert not y.any()
    x, whole_way = (torch.tensor(3.0, requires_grad=True) for _ in range(2))
    ((x * x).detach() * x).backward()
    (whole_way * whole_way * whole_way).backward()
    claim.shows(f"x = 3: of x² detached, times x: {x.grad}; without detach {whole_way.grad}")


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
