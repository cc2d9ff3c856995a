"""Dropout: whether torch drops at random, at the rate that was asked for."""

from fractions import Fraction as Exact
from functools import lru_cache

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.targets import Targets
from tests.harness.verdict import deviates
from tests.layers.dropout_cases import LAYERS, begin, seeds

# A statistic of masks drawn as they should be leaves its interval with a probability below this.
# A run looks at fewer than a million of them (3000 examples in the profile `thorough`, four
# dtypes, four statistics, on each device), so it raises a false alarm with less than 1e-9.
FALSE_ALARM = Exact(1, 10**15)


@lru_cache
def interval(count: int, probability: Exact) -> tuple[int, int]:
    """What Binomial(count, probability) falls below, or above, with FALSE_ALARM / 2 at most.

    The tails are summed exactly: P(K <= k) = sum_j C(n, j) a^j b^(n - j) / (a + b)^n in integers.
    """

    def lower(p: Exact) -> int:
        a, total = p.numerator, p.denominator
        allowed = FALSE_ALARM / 2 * total**count
        term, tail, k = (total - a) ** count, 0, 0
        while tail + term <= allowed:
            tail += term
            term = term * (count - k) * a // ((k + 1) * (total - a))  # exact: the next term
            k += 1
        return k

    return lower(probability), count - lower(1 - probability)


@given(
    name=st.sampled_from(tuple(LAYERS)),
    p=st.sampled_from((Exact(1, 2), Exact(1, 4), Exact(7, 8))),
    seed=seeds,
)
def test_masks_have_their_rate_and_are_independent(
    targets: Targets, name: str, p: Exact, seed: int
) -> None:
    positions = (1,) * (LAYERS[name][2][1] - 2) if name != "dropout" else ()
    for dtype, paths in targets.by_dtype("functional"):
        for target in paths:
            ones = torch.ones(48, 48, *positions, dtype=getattr(torch, dtype), device=target.device)
            begin(seed, ones)
            kept, again = (LAYERS[name][0](ones, float(p)).reshape(48, 48).ne(0) for _ in "12")
            # Of two independent draws, each kept with q = 1 - p, are alike q^2 + p^2; and so are
            # disjoint pairs, which are independent of each other, as their number is counted.
            pairs = {
                "neighbours": kept[:, ::2] == kept[:, 1::2],
                "rows": kept[::2] == kept[1::2],
                "calls": kept == again,
            }
            expected = {"kept": (kept, 1 - p)}
            expected |= {what: (alike, p**2 + (1 - p) ** 2) for what, alike in pairs.items()}
            for what, (outcomes, probability) in expected.items():
                least, most = interval(outcomes.numel(), probability)
                if not least <= (count := int(outcomes.sum())) <= most:
                    chance = (
                        f"{count} of {outcomes.numel()}, where a chance of {float(probability)}"
                    )
                    right = f"{least} <= got.sum() <= {most}"
                    says = f"is {chance} gives {least} to {most}"
                    deviates(name, what, target, says, outcomes, right)
