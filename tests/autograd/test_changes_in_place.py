"""Names that are rebound, memory that is changed, and how backward() notices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.autograd.exact import first, whole
from tests.claims.claim import Claim, holds
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.targets import Targets


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
    claim.shows("f(x) at x = 3: with t = t * 2 inside, x is {}; with t *= 2, x is {}".format(*seen))


@holds(
    "G19",
    "a change in place of a value that backward needs is detected, and raises",
    "by a version that counts the changes; what backward does not need may change",
)
@given(
    array=whole,
    which=st.sampled_from(("product", "relu", "sum")),
    changed=st.sampled_from(("", "all", "a part")),
)
def test_an_overwritten_value_is_noticed_if_it_was_needed(
    claim: Claim, targets: Targets, array: DrawnArray, which: str, changed: str
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = x * 2
        z = {"product": y * y, "relu": torch.relu(y), "sum": y + y}[which]
        saved = {"product": y, "relu": z, "sum": z}[which]
        if changed:  # the same memory, without leaving a node
            part = saved.detach() if changed == "all" else saved.detach()[:1]
            part.mul_(2)
        if changed and which != "sum":
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                z.backward(torch.ones_like(z))
        else:
            z.backward(torch.ones_like(z))
    outcomes = []
    for join in (torch.mul, torch.add):
        y = torch.tensor(3.0, requires_grad=True) * 2
        z = join(y, y)
        y += 1
        try:
            z.backward()
            outcomes.append("runs")
        except RuntimeError:
            outcomes.append("raises")
    claim.shows("z = y * y, then y += 1: z.backward() {}; with z = y + y it {}".format(*outcomes))
