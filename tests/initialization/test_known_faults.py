"""What torch's initialisation gets wrong: minimal cases, and the domains that are left out.

Each test states what is right. Two are entries of `tests/deviations/ledger.toml`; the others are
expected to fail, and one that passes fails the run: then torch is mended, and the exclusion that
names this file is to go.

In its tails trunc_normal_ draws uniform numbers x and accepts one where log u <= log density(x),
for another uniform number u. Where u = 0 its logarithm is -inf, and any x is accepted, however
unlikely. uniform_ gives 0 with the chance that half an ulp below 1 has, 2^-9 in bfloat16 and 2^-12
in float16, because it makes 0 of what rounds to 1; and with 2^-24 in float32.
"""

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from packaging.version import Version
from torch.nn import init

from tests.harness.deviations import TORCH
from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly


def wrong(reason: str, link: str = "unreported") -> pytest.MarkDecorator:
    raised = (AssertionError, TimeoutError, ZeroDivisionError, IndexError, RuntimeError)
    return pytest.mark.xfail(strict=True, raises=raised, reason=f"{reason} ({link})")


@pytest.fixture(autouse=True)
def on_the_cpu(targets: Targets) -> None:
    if "cpu" not in targets.devices:
        pytest.skip("these are faults of the CPU's kernels, and --device leaves it out")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def truncated(tensor: torch.Tensor, mean: float, std: float, a: float, b: float) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "mean is more than 2 std from")
        return init.trunc_normal_(tensor, mean, std, a, b, generator())


@pytest.fixture(params=["float16", "bfloat16"])
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    if request.param not in targets.dtypes:
        pytest.skip(f"{request.param} is not asked for")
    return Target("cpu", request.param, "functional")


def test_no_number_is_nine_standard_deviations_away(target: Target) -> None:
    """`trunc-normal-accepts-anything`.

    Beyond 5, one in 10^12 would be beyond 9: exp((5^2 - 9^2) / 2) 5/9 of them.
    """
    numbers = truncated(torch.empty(20_000, dtype=target.torch_dtype), 0.0, 1.0, 5.0, 10.0)
    beyond = (numbers > 9).any().to(numbers.dtype)
    exactly("trunc_normal_", "beyond 9", target, beyond, 0.0)


def test_no_number_of_so_few_is_0(target: Target) -> None:
    """`uniform-gives-too-many-zeros`: what rounds to 0 is below 2^-25 in float16."""
    numbers = torch.empty(2**16, dtype=target.torch_dtype).uniform_(generator=generator())
    exactly("uniform_", "is 0", target, (numbers == 0).any().to(numbers.dtype), 0.0)


@contextmanager
def seconds(limit: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
@pytest.mark.skipif(Version("2.12") > TORCH, reason="up to 2.11 it does not accept, but clamps")
@wrong("trunc_normal_ accepts none of the few numbers between the ends, and goes on for ever")
def test_a_range_of_few_numbers_is_filled():
    """From 10 to 11 std above 10^6, where float32 holds multiples of 1/16: 1/8, at 12.5 std.

    That is exp((12.5^2 - 10^2) / 2) = 10^12 times less likely than the end.
    """
    with seconds(0.3):
        truncated(torch.empty(1), 1e6, 0.01, 1e6 + 0.10, 1e6 + 0.11)


@wrong("xavier_* divide by zero where a weight has neither inputs nor outputs; kaiming_* warn")
@pytest.mark.parametrize("function", [init.xavier_uniform_, init.xavier_normal_])
def test_xavier_leaves_a_weight_without_numbers_alone(function):
    assert function(torch.empty(2, 3, 0)).shape == (2, 3, 0)


@wrong("dirac_ looks for the middle of a kernel that is empty")
def test_dirac_leaves_a_weight_without_numbers_alone():
    assert init.dirac_(torch.empty(2, 3, 0)).shape == (2, 3, 0)
