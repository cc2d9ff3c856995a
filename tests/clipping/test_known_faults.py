"""What torch's clipping gets wrong: minimal cases, of which the properties leave out the domain.

Each test states what is right, and is expected to fail. One that passes fails the run: then torch
is mended, and the exclusion that names this file is to go.
"""

from typing import Any

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from tests.harness.targets import Targets


def wrong(reason: str, link: str = "unreported") -> pytest.MarkDecorator:
    raised = (AssertionError, RuntimeError)
    return pytest.mark.xfail(strict=True, raises=raised, reason=f"{reason} ({link})")


@pytest.fixture(autouse=True)
def on_the_cpu(targets: Targets) -> None:
    if "cpu" not in targets.devices:
        pytest.skip("these are minimal cases on the CPU, and --device leaves it out")


def clipped(numbers: list[float], dtype: str, max_norm: float, **options: Any) -> list[float]:
    p = torch.ones(len(numbers), dtype=getattr(torch, dtype), requires_grad=True)
    p.grad = torch.tensor(numbers, dtype=p.dtype)
    clip_grad_norm_(p, max_norm, **options)
    return p.grad.tolist()


REASON = "max_norm / (norm + 1e-6) is taken as a reciprocal, rounded to float16, times max_norm: "


@wrong(REASON + "infinity times 0 is NaN")
@pytest.mark.parametrize("foreach", [False, True])
def test_zero_gradients_stay_zero_in_float16(foreach):
    assert clipped([0.0], "float16", max_norm=0.0, foreach=foreach) == [0.0]


@wrong(REASON + "of a norm below 2^-16 it is infinite, and the factor 1")
@pytest.mark.parametrize("foreach", [False, True])
def test_tiny_gradients_are_clipped_in_float16(foreach):
    """1e-5 is 168 times float16's smallest number, 2^-24; 1e-6 is 17 times."""
    assert clipped([1e-5], "float16", max_norm=1e-6, foreach=foreach)[0] <= 2e-6


@wrong("the norm squares without scaling: of 2^70 it is infinite, and the gradient is set to 0")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_gradients_keep_their_direction(dtype):
    assert clipped([2.0**70, 2.0**70], dtype, max_norm=1.0)[0] > 0.5


@wrong("the norm squares without scaling: of 2^-80 it is 0")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_only_zeros_have_a_norm_of_0(dtype):
    assert get_total_norm([torch.full((2,), 2.0**-80, dtype=getattr(torch, dtype))]) > 0


@wrong("clip_grad_value_ raises where no parameter has a gradient, and clip_grad_norm_ does not")
@pytest.mark.parametrize("parameters", [[], [torch.ones(1)]])
def test_nothing_is_clipped_where_there_is_nothing(parameters):
    assert clip_grad_norm_(parameters, 1.0) == 0
    clip_grad_value_(parameters, 1.0)


@wrong("clip_grad_value_ raises for a limit beyond float16, where nothing is to be cut off")
@pytest.mark.parametrize("foreach", [False, True])
def test_a_limit_beyond_all_numbers_cuts_nothing_off(foreach):
    p = torch.ones(1, dtype=torch.float16, requires_grad=True)
    p.grad = torch.tensor([2.0], dtype=torch.float16)
    clip_grad_value_(p, 1e6, foreach=foreach)
    assert p.grad.item() == 2
