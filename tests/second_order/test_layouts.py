"""What forward mode makes of memory layouts."""

import pytest
import torch


@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="a tangent is stored in the layout of its input: github.com/pytorch/pytorch/pull/71643",
)
def test_forward_mode_takes_an_expanded_input() -> None:
    expanded, direction = torch.ones(1, 2).expand(2, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    _, moved, *_ = torch.func.jvp(lambda x: x + x, (expanded,), (direction,))
    assert moved.tolist() == [[2.0, 4.0], [6.0, 8.0]]
