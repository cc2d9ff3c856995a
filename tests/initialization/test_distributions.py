"""uniform_, normal_ and trunc_normal_: where their numbers lie, and how often where."""

import math
import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from torch.nn import init

from reference.distributions import normal_cdf, trunc_normal_cdf, uniform_cdf
from tests.harness.border import to_numpy
from tests.harness.deviations import TORCH
from tests.harness.formats import FLOAT32, FORMATS, Format
from tests.harness.reproducer.pause import literal
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.hyperparameters import floats
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates
from tests.initialization.draws import Empty, empties, seeds
from tests.initialization.fit import FALSE_ALARM, Distribution, check_fit

NUMBERS = 2**14
UP_TO_2_11 = Version("2.12") > TORCH
few = settings(max_examples=max(10, settings().max_examples // 5))

ends = st.sampled_from(
    ((0.0, 1.0), (-0.1, 0.1), (1000.0, 1001.0), (-0.5, 0.1), (0.1, 0.3), (1.0, 1.0))
) | st.tuples(floats(-100, 100), floats(0, 100)).map(lambda x: (x[0], x[0] + x[1]))
means = st.sampled_from((0.0, 1.0, 100.0, -5.0)) | floats(-100, 100)
stds = st.sampled_from((1.0, 0.02, 1e-3, 100.0)) | st.floats(1e-3, 100)


def next_below(x: float) -> float:
    return math.nextafter(x, -math.inf)


@few
@given(empty=empties().filter(lambda empty: 0 not in empty.shape), ends=ends)
def test_uniform_numbers_are_spread_evenly(
    targets: Targets, empty: Empty, ends: tuple[float, float]
) -> None:
    a, b = ends
    for dtype, paths in targets.by_dtype("functional"):
        fmt = FORMATS[dtype]
        least, end = (float(fmt.round(np.array(x))) for x in ends)
        ulp = float(fmt.ulp(np.array(max(abs(a), abs(b)))))
        # The ends are rounded, the product and the sum; and there are at least 2^24 numbers.
        spacing = 2 * ulp + 2.0**-24 * (b - a)
        for target in paths:
            open_end = end if least == end or includes_the_end(target) else next_below(end)
            expected = Distribution(
                partial(uniform_cdf, a=a, b=b),
                lambda x: uniform_cdf(-x, -b, -a),
                least,
                open_end,
            )
            numbers = empty.filled(
                "uniform", target, lambda t, g: init.uniform_(t, a, b, g), NUMBERS
            )
            moved = min(1.0, ulp / 2 / (b - a)) if least < end else 0.0
            check_fit(
                "uniform",
                target,
                numbers,
                expected,
                partial(np.full_like, fill_value=spacing),
                moved,
            )


def includes_the_end(target: Target) -> bool:
    """See https://github.com/pytorch/pytorch/issues/96947 and `uniform-includes-its-end`.

    Elsewhere a number that rounds to the end becomes the start: `moved`, of the last half ulp.
    """
    half = FORMATS[target.dtype].precision < 24
    return (half and target.device.startswith("cuda")) or UP_TO_2_11


def spacing_of_a_sum(fmt: Format, mean: float, x: np.ndarray) -> np.ndarray:
    """Of mean + std z, where mean, std, their product and the sum are rounded."""
    return 2 * fmt.ulp(np.abs(x) + abs(mean))


@few
@given(
    empty=empties().filter(lambda empty: 0 not in empty.shape),
    mean=means,
    std=stds | st.just(0.0),
)
def test_normal_numbers_have_their_mean_and_spread(
    targets: Targets, empty: Empty, mean: float, std: float
) -> None:
    expected = Distribution(
        partial(normal_cdf, mean=mean, std=std), lambda x: normal_cdf(-x, -mean, std)
    )
    for dtype, paths in targets.by_dtype("functional"):
        fmt = Rounding.kernel(dtype).storage  # which flushes, where this run does
        for target in paths:
            numbers = empty.filled(
                "normal", target, lambda t, g: init.normal_(t, mean, std, g), NUMBERS
            )
            check_fit("normal", target, numbers, expected, partial(spacing_of_a_sum, fmt, mean))


@few
@given(empty=empties(), mean=means, std=stds | st.just(0.0))
def test_normal_numbers_are_standard_ones_scaled_and_shifted(
    targets: Targets, empty: Empty, mean: float, std: float
) -> None:
    """From the same seed. Standard numbers are rounded when they are stored, and these are not."""
    for dtype, paths in targets.by_dtype("functional"):
        rounding = Rounding.op_by_op(dtype)  # as it is in torch 2.11
        for target in paths:
            standard = empty.filled("normal", target, lambda t, g: init.normal_(t, generator=g))
            numbers = empty.filled("normal", target, lambda t, g: init.normal_(t, mean, std, g))
            values = to_numpy(standard)
            rounded = FORMATS[dtype].half_ulp(np.abs(values))
            expected = rounding.stored(Rounded(rounding, values, rounded) * std + mean)
            # Neither numbers are wrong by themselves: no script could tell.
            check("normal", "scaled and shifted", target, literal(torch.clone)(numbers), expected)


@dataclass(frozen=True)
class Truncated:
    """Normal numbers from a to b."""

    mean: float
    std: float
    a: float
    b: float

    @property
    def mass(self) -> float:
        """The share of normal numbers that are there."""
        low, high = ((x - self.mean) / self.std for x in (self.a, self.b))
        low, high = (-high, -low) if low > 0 else (low, high)
        return float(np.diff(normal_cdf(np.array([low, high])))[0])

    @property
    def proposes(self) -> bool:
        """torch draws uniform numbers and accepts some, where it would reject 70 % of normal ones.

        It compares the share with 0.3, and rounds it in its own way.
        """
        return self.mass < 0.31

    @property
    def acceptance(self) -> float:
        """The mean of the density between the ends, over its maximum there."""
        mode = (max(self.a, min(self.mean, self.b)) - self.mean) / self.std
        peak = math.exp(-mode * mode / 2) / (self.std * math.sqrt(2 * math.pi))
        return self.mass / (peak * (self.b - self.a))


@st.composite
def truncated(draw: st.DrawFn) -> Truncated:
    """Around the mean, or to one side of it: `steps` standard deviations away, up to 30."""
    mean, std = draw(means), draw(stds)
    steps = draw(
        st.sampled_from((-2.0, -0.1, 0.0, 1.0, 3.0, 10.0, 30.0))
        | st.integers(-30, 50).map(lambda n: n / 10)
    )
    width = draw(st.sampled_from((0.5, 1.0, 4.0))) / max(1.0, steps)
    low, high = steps, steps + width
    if steps < 0:
        high = draw(st.sampled_from((-steps, 2.0, 100.0)))
    if draw(st.booleans()):
        low, high = -high, -low
    return Truncated(mean, std, mean + low * std, mean + high * std)


@few
@given(empty=empties().filter(lambda empty: 0 not in empty.shape), case=truncated())
def test_truncated_normal_numbers_stay_between_their_ends(
    targets: Targets, empty: Empty, case: Truncated
) -> None:
    mean, std, a, b = case.mean, case.std, case.a, case.b
    for dtype, paths in targets.by_dtype("functional"):
        fmt = FORMATS[dtype]
        # The distance to the mean is rounded, too, divided and squared.
        reach = max(abs(a), abs(b), abs(a - mean), abs(b - mean))
        spacing = 2 * float(fmt.ulp(np.array(reach)))
        if never_comes_back(case, fmt) or has_few_quantiles(case, fmt) or a >= b:
            continue
        # Kernels of half types take a number in float32, and round again what they store.
        taken = FLOAT32 if fmt.precision < FLOAT32.precision else fmt
        least, most = (float(fmt.round(taken.round(np.array(x)))) for x in (a, b))
        expected = Distribution(
            partial(trunc_normal_cdf, mean=mean, std=std, a=a, b=b),
            lambda x: trunc_normal_cdf(-x, -mean, std, -b, -a),
            least,
            most,
        )
        blindly = ZEROS[dtype] / case.acceptance if case.proposes else 0.0
        for target in paths:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                numbers = empty.filled(
                    "trunc_normal",
                    target,
                    lambda t, g: init.trunc_normal_(t, mean, std, a, b, g),
                    NUMBERS // 2,
                )
            check_fit(
                "trunc_normal",
                target,
                numbers,
                expected,
                partial(np.full_like, fill_value=spacing),
                blindly,
            )
            assert bool(warned) == (mean < a - 2 * std or mean > b + 2 * std)


ZEROS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-12, "bfloat16": 2.0**-9}
"""How often uniform_ gives 0, whose logarithm accepts any number (see `test_known_faults`)."""


def never_comes_back(case: Truncated, fmt: Format) -> bool:
    """Of the few numbers between the ends torch accepts hardly any (see `test_known_faults`)."""
    ulp = float(fmt.ulp(np.array(max(abs(case.a), abs(case.b)))))
    away = max(1.0, abs(case.a - case.mean) / case.std, abs(case.b - case.mean) / case.std)
    return case.proposes and ulp * away > 2 * case.std


def has_few_quantiles(case: Truncated, fmt: Format) -> bool:
    """Up to 2.11 torch draws a quantile in the dtype, and looks up which number has it.

    The farthest of them are lost: `half-type-trunc-normal-jumps-to-its-bounds` of the ledger.
    """
    return UP_TO_2_11 and case.mass * 2.0**fmt.precision < 2**12


@settings(max_examples=max(5, settings().max_examples // 10))
@given(seed=seeds, name=st.sampled_from(("uniform_", "normal_", "trunc_normal_")))
def test_numbers_are_independent(targets: Targets, seed: int, name: str) -> None:
    """Two of them are on the same side of the median half of the time, whichever two.

    Of n pairs, by Hoeffding's inequality, the share is further than d from that with probability at
    most 2 exp(-2 n d^2). A median that is rounded to 2^-8 makes it 1/2 + 2^-15 at most.
    """
    median = 0.5 if name == "uniform_" else 0.0
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            empty = Empty((128, 128), "contiguous", seed)
            both = empty.filled(
                name.rstrip("_"), target, lambda t, g: getattr(init, name)(t, generator=g), 2**15
            )
            above, again = to_numpy(both).reshape(2, 128, 128) < median
            pairs = {
                "neighbours": above[:, ::2] == above[:, 1::2],
                "rows": above[::2] == above[1::2],
                "calls": above == again,
            }
            for what, alike in pairs.items():
                allowed = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * alike.size)) + 2.0**-15
                share = alike.mean()
                assert abs(share - 0.5) <= allowed, f"{name} on {target}: {what} alike {share:.3f}"


@settings(max_examples=2)
@given(seed=seeds)
def test_standard_normal_numbers_have_mean_0_and_variance_1(targets: Targets, seed: int) -> None:
    """More closely than their distribution tells.

    Of n squares, by Laurent and Massart, the mean is further than 2 sqrt(x/n) + 2x/n from 1 with
    probability at most 2 exp(-x); and the mean of n numbers is normal, of variance 1/n.
    """
    n = 2**18
    x = math.log(2 / FALSE_ALARM)
    allowed = 2 * math.sqrt(x / n) + 2 * x / n
    for dtype, paths in targets.by_dtype("functional"):
        for target in paths:
            empty = Empty((n,), "contiguous", seed)
            tensor = empty.filled("normal", target, lambda t, g: init.normal_(t, generator=g))
            numbers = to_numpy(tensor)
            rounded = 3 * FORMATS[dtype].unit  # of a square, and of its root
            assert abs((numbers**2).mean() - 1) <= allowed + rounded, target
            assert abs(numbers.mean()) <= math.sqrt(2 * x / n) + rounded, target


REFUSED = {
    "uniform_": ((1.0, 0.0), r"uniform_ expects to return a \[from, to\) range"),
    "normal_": ((0.0, -1.0), "normal expects std >= 0.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ends_and_spreads_that_make_no_sense_are_refused(name: str) -> None:
    arguments, message = REFUSED[name]
    with pytest.raises(RuntimeError, match=message):
        getattr(init, name)(torch.zeros(3), *arguments)
    with pytest.raises(ValueError, match="must be at"):
        {"uniform_": uniform_cdf, "normal_": normal_cdf}[name](np.zeros(1), *arguments)


@pytest.mark.parametrize("name", ["uniform", "normal", "trunc_normal"])
def test_numbers_come_from_the_generator_that_is_given(targets: Targets, name: str) -> None:
    for _, (target, *_) in targets.by_dtype("functional"):
        first, second = (
            getattr(init, f"{name}_")(
                torch.zeros(8, dtype=target.torch_dtype, device=target.device),
                generator=torch.Generator(target.device).manual_seed(1),
            )
            for _ in "12"
        )
        if not torch.equal(first, second):
            what, both = "are not of the generator that was given", (first, second)
            deviates(name, "numbers", target, what, both, "torch.equal(got[0], got[1])")
