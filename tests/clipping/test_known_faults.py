"""What torch's clipping gets wrong: minimal cases, of which the properties leave out the domain.

Each test states what is right. The wrong numbers are two entries of `tests/deviations/ledger.toml`.
The refusals are expected to fail: one that passes fails the run, for then torch is mended, and the
exclusion that names this file is to go.
"""

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, get_total_norm

from tests.clipping.gradients import FOREACH
from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly


def wrong(reason: str, link: str = "unreported") -> pytest.MarkDecorator:
    raised = (AssertionError, RuntimeError)
    return pytest.mark.xfail(strict=True, raises=raised, reason=f"{reason} ({link})")


@pytest.fixture(autouse=True)
def on_the_cpu(targets: Targets) -> None:
    if "cpu" not in targets.devices:
        pytest.skip("these are minimal cases on the CPU, and --device leaves it out")


def clipped(target: Target, numbers: list[float], max_norm: float) -> torch.Tensor:
    p = torch.ones(len(numbers), dtype=target.torch_dtype, requires_grad=True)
    p.grad = torch.tensor(numbers, dtype=p.dtype)
    clip_grad_norm_(p, max_norm, foreach=FOREACH[target.path])
    return p.grad


@pytest.mark.parametrize("path", FOREACH)
def test_tiny_gradients_are_clipped_in_float16(targets: Targets, path: str) -> None:
    """`clip-grad-norm-inverts-in-float16`.

    1e-5 is 168 times float16's smallest number, 2^-24; 1e-6 is 17 times.
    """
    if "float16" not in targets.dtypes:
        pytest.skip("float16 is not asked for")
    target = Target("cpu", "float16", path)
    exactly("clip_grad_norm inverse", "zero", target, clipped(target, [0.0], 0.0), [0.0])
    tiny = clipped(target, [1e-5], 1e-6)
    exactly("clip_grad_norm inverse", "is clipped", target, (tiny <= 2e-6).to(tiny.dtype), [1.0])


SCALES = {
    "float64": (2.0**520, 2.0**-560),
    "float32": (2.0**70, 2.0**-80),
    "bfloat16": (2.0**70, 2.0**-80),
}
"""Numbers of the dtype whose squares are beyond the format of the sum."""


@pytest.mark.parametrize("path", FOREACH)
@pytest.mark.parametrize("dtype", SCALES)
def test_a_norm_is_in_range_where_its_gradients_are(
    targets: Targets, path: str, dtype: str
) -> None:
    """`total-norm-squares-without-scaling`: 3 and 4 make 5, whatever the unit."""
    if dtype not in targets.dtypes:
        pytest.skip(f"{dtype} is not asked for")
    target = Target("cpu", dtype, path)
    for scale in SCALES[dtype]:
        numbers = [3 * scale, 4 * scale]
        grads = [torch.tensor(numbers, dtype=target.torch_dtype)]
        norm = get_total_norm(grads, foreach=FOREACH[path])
        exactly("total norm unscaled", "total_norm", target, norm, 5 * scale)
    large = clipped(target, [3 * SCALES[dtype][0]] * 2, 1.0)
    kept = (large > 0.5).to(large.dtype)
    exactly("total norm unscaled", "direction", target, kept, [1.0, 1.0])


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
