"""What is kept for the way back, for how long, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.autograd.graph import saved_tensors_hooks

from tests.autograd.exact import first, square, whole
from tests.claims.claim import Claim, does_not_hold, holds
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.targets import Targets


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
