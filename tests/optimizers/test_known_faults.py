"""What torch's optimizers get wrong: minimal cases, of which the histories leave out the domain.

Each test states what is right, and is expected to fail. One that passes fails the run: then torch
is mended, and the exclusion that names this file is to go.
"""

import math

import pytest
import torch

from tests.harness.targets import Targets


def wrong(reason: str, link: str = "unreported") -> pytest.MarkDecorator:
    raised = (AssertionError, TypeError)
    return pytest.mark.xfail(strict=True, raises=raised, reason=f"{reason} ({link})")


@pytest.fixture(autouse=True)
def on_the_cpu(targets: Targets) -> None:
    if "cpu" not in targets.devices:
        pytest.skip("these are faults of the CPU's kernels, and --device leaves it out")


@wrong(
    "fused CPU kernels step through memory, not through elements",
    "https://github.com/pytorch/pytorch/issues/106951 asks for equal strides",
)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_fused_reads_the_gradient_element_by_element(optimizer):
    """Column by column in memory, beside a parameter that lies row by row."""
    param = torch.zeros(2, 2, requires_grad=True)
    param.grad = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).T.contiguous().T
    optimizer([param], lr=0.5, fused=True).step()
    assert torch.equal(param.sign(), -param.grad.sign())


@wrong("fused CPU kernels write into the gaps of a parameter")
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_fused_leaves_the_neighbours_of_a_view_alone(optimizer):
    larger = torch.zeros(4)
    param = larger[::2].requires_grad_()
    param.grad = torch.ones(2)
    optimizer([param], lr=0.5, weight_decay=0.0, fused=True).step()
    assert larger.tolist() == [-0.5, 0.0, -0.5, 0.0]


@wrong("fused SGD raises TypeError where only some momentum buffers are there")
def test_fused_sgd_takes_a_first_gradient_that_comes_late():
    early, late = (torch.ones(1, requires_grad=True) for _ in range(2))
    sgd = torch.optim.SGD([early, late], lr=0.5, momentum=0.5, fused=True)
    early.grad = torch.ones(1)
    sgd.step()
    late.grad = torch.ones(1)
    sgd.step()
    assert late.item() == 0.5


@wrong("foreach SGD adds the momentum to the gradient itself, where it has made no copy")
def test_foreach_nesterov_leaves_the_gradient_alone():
    param = torch.zeros(1, requires_grad=True)
    param.grad = torch.ones(1)
    torch.optim.SGD([param], lr=0.5, momentum=0.5, nesterov=True, foreach=True).step()
    assert param.grad.item() == 1


@wrong("fused Adam's maximum is the other operand where one is NaN, beyond the last full vector")
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_fused_amsgrad_keeps_nan(optimizer):
    param = torch.ones(1, requires_grad=True)
    adam = optimizer([param], amsgrad=True, fused=True)
    param.grad = torch.full((1,), math.nan)
    adam.step()
    assert math.isnan(adam.state[param]["max_exp_avg_sq"].item())


@wrong(
    "the root and eps are divided by the step size, 0 / 0",
    "https://github.com/pytorch/pytorch/issues/126514",
)
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_a_learning_rate_of_zero_changes_nothing_in_the_differentiable_path(optimizer):
    param = torch.ones(1)
    param.grad = torch.zeros(1)
    optimizer([param], lr=0.0, differentiable=True).step()
    assert param.item() == 1


@wrong("the differentiable path adds a decay that has a gradient to the gradient itself")
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_decay_to_be_differentiated_leaves_the_gradient_alone(optimizer):
    decay = torch.tensor(0.5, requires_grad=True)
    param = torch.ones(1)
    param.grad = torch.ones(1)
    optimizer([param], lr=0.5, weight_decay=decay, differentiable=True).step()
    assert param.grad.item() == 1
