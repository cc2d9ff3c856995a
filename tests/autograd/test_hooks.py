"""Hooks of tensors: they hear the gradient on its way, and may answer with another."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.autograd.exact import every, whole
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.targets import Targets
from tests.harness.verdict import deviates

answers = st.sampled_from((None, 2.0, -1.0, 0.0))


def hook(grad: torch.Tensor, heard: torch.Tensor, answer: float | None) -> torch.Tensor | None:
    heard.add_(grad)
    return None if answer is None else answer * grad


@given(
    array=whole,
    answers=st.lists(answers, max_size=3),
    removed=st.integers(0, 3),
    leaf=st.booleans(),
)
def test_each_hook_hears_what_the_one_before_it_answered(
    targets: Targets, array: DrawnArray, answers: list[float | None], removed: int, leaf: bool
) -> None:
    for target in every(targets):
        x = array.tensor(target, requires_grad=True)
        y = 2 * x
        heard = torch.zeros(len(answers), *x.shape, dtype=x.dtype, device=x.device)
        handles = [
            (x if leaf else y).register_hook(partial(hook, heard=heard[i], answer=answer))
            for i, answer in enumerate(answers)
        ]
        for handle in handles[removed:]:
            handle.remove()
        (y * y).backward(torch.ones_like(y))
        expected = [(8 if leaf else 4) * x.detach()]  # of y * y with respect to x, or to y
        for answer in answers[:removed]:
            expected.append(expected[-1] if answer is None else answer * expected[-1])
        of_each = expected[:-1] + [torch.zeros_like(x)] * (len(answers) - len(expected) + 1)
        in_all = [g.tolist() for g in of_each]
        if heard.tolist() != in_all:
            what = f"hears {heard.tolist()}, expected {in_all}"
            deviates("graph", "hook", target, what, heard, f"got.tolist() == {in_all}")
        assert x.grad is not None
        wanted = (expected[-1] * (1 if leaf else 2)).tolist()
        if x.grad.tolist() != wanted:
            what = f"is {x.grad} after hooks, expected {wanted}"
            deviates("graph", "gradient", target, what, x, f"got.grad.tolist() == {wanted}")
