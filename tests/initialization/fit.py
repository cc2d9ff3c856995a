"""Goodness of fit: do numbers that were rounded come from a distribution?

Let G be the share of n numbers, drawn from F, that are at most x. By the inequality of Dvoretzky,
Kiefer and Wolfowitz, with Massart's constant, G is further from F than d anywhere with probability
at most 2 exp(-2 n d^2), for any n. What is stored is up to `spacing` away from what was drawn, so
the share of stored numbers at most x lies between F(x - spacing) - d and F(x + spacing) + d.

Besides, no number is where none should be: where F, or 1 - F, is below the chance that is allowed
for a false alarm, divided by n. And the outermost numbers are as far out as they should be: that
none of n falls into a tail of probability p has the chance (1 - p)^n, below exp(-n p).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import torch

from tests.harness.border import to_numpy
from tests.harness.record import RECORD, Tally
from tests.harness.targets import Target
from tests.harness.verdict import deviates

FALSE_ALARM = 1e-15
"""Of each of a fit's six bounds: the distribution, the strays, and two of each tail. Even in the
profile `thorough` there are fewer than ten thousand fits on a device, so that a run raises a false
alarm with a probability below 1e-9."""


@dataclass(frozen=True)
class Distribution:
    """F and 1 - F, each of which keeps its digits in its own tail, and the ends of the range."""

    cdf: Callable[[np.ndarray], np.ndarray]
    survival: Callable[[np.ndarray], np.ndarray]
    least: float = -math.inf
    most: float = math.inf


def check_fit(
    component: str,
    target: Target,
    numbers: torch.Tensor,
    expected: Distribution,
    spacing: Callable[[np.ndarray], np.ndarray],
    elsewhere: float = 0.0,
) -> None:
    """Raise a deviation where numbers do not come from a distribution.

    Args:
        component: whose numbers they are.
        target: where they were drawn.
        numbers: (n,), at least one, in the dtype of torch.
        expected: what they are drawn from.
        spacing: how far from x rounding may have taken a number that is stored as x.
        elsewhere: the chance that torch is known to put a number elsewhere in the range.
    """
    x, n = np.sort(to_numpy(numbers)), numbers.numel()

    def wrong(what: str, right: str) -> NoReturn:
        deviates(component, "numbers", target, what, numbers, right)

    least, most = expected.least, expected.most
    if not (least <= x[0] and x[-1] <= most):
        within = " and ".join(
            f"(got.double() {sign} {end!r}).all()"
            for sign, end in ((">=", least), ("<=", most))
            if math.isfinite(end)
        )
        wrong(f"reach from {x[0]} to {x[-1]}, not only {least} to {most}", within)
    tails = (
        (expected.cdf, x[:1], spacing(x[:1]), "got.min()", "<>"),
        (expected.survival, x[-1:], -spacing(x[-1:]), "got.max()", "><"),
    )
    for tail, outermost, inwards, end, signs in tails:
        farther, nearer = (f"{end} {sign} {float(outermost[0])!r}" for sign in signs)
        if not elsewhere and tail(outermost + inwards)[0] < FALSE_ALARM / n:
            wrong(f"reach to {outermost[0]}, which chance does not allow", nearer)
        if tail(outermost - inwards)[0] * n * (1 - elsewhere) > math.log(2 / FALSE_ALARM):
            wrong(f"reach to {outermost[0]} only, which chance does not allow", farther)
    i = np.unique(np.concatenate([np.arange(0, n, 1 + n // 512), [n - 1]]))
    at, doubt = x[i], spacing(x[i])
    most_at, least_below = expected.cdf(at + doubt), expected.cdf(at - doubt)
    too_many = np.searchsorted(x, at, "right") / n - most_at
    too_few = least_below - np.searchsorted(x, at, "left") / n
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * n)) + most_strays(n, elsewhere) / n
    furthest = max(0.0, too_many.max(), too_few.max())
    tally = Tally(examples=1, elements=n, worst_share=furthest / allowed)
    tally.shares[min(9, int(10 * tally.worst_share))] = 1
    RECORD.tally((target.device, component, target.path, "numbers"), target.dtype).add(tally)
    if furthest > allowed:
        k = np.argmax(np.maximum(too_many, too_few))
        share = f"(got <= {float(at[k])!r}).double().mean() <= {most_at[k] + allowed}"
        if too_few[k] > too_many[k]:
            share = f"(got < {float(at[k])!r}).double().mean() >= {least_below[k] - allowed}"
        what = f"off by {furthest:.3f} in distribution, where chance allows {allowed:.3f}"
        wrong(f"are {what} ({n} of them)", share)


def most_strays(n: int, chance: float) -> int:
    """How many of n chances come true, with probability above FALSE_ALARM at most.

    By Chernoff's bound, P(K >= k) <= exp(-(k log(k / m) - k + m)) for k above the expectation m.
    """
    mean = n * chance
    k = math.ceil(mean) if mean else n
    while k < n and (k <= mean or k * math.log(k / mean) - k + mean < -math.log(FALSE_ALARM)):
        k += 1
    return k if mean else 0
