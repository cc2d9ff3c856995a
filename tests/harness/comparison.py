"""Two arrays held against each other: a result of torch, and the reference with its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.harness.formats import Format
from tests.harness.record import Tally
from tests.harness.rounded import Rounded, all_true

SMALLEST = np.finfo(np.float64).tiny  # in place of a zero bound
WORST = 5  # elements are shown


@dataclass(frozen=True)
class Comparison:
    """Two arrays held against each other."""

    got: np.ndarray
    expected: Rounded
    bound: np.ndarray
    error: np.ndarray
    wrong: np.ndarray
    fmt: Format

    @classmethod
    def of(cls, got: np.ndarray, expected: Rounded, fmt: Format) -> Comparison:
        value, bound = expected.value, expected.bound
        if got.tobytes() == value.tobytes():  # the quickest comparison there is
            return cls(got, expected, bound, np.zeros_like(value), np.zeros(value.shape, bool), fmt)
        with np.errstate(all="ignore"):
            error = np.abs(got - value)
            right = error <= bound
            if expected.selected:
                right &= (np.signbit(got) == np.signbit(value)) | (value != 0)
            if not all_true(right):
                assert not np.isnan(bound).any(), "a rule in tests/harness/propagation is wrong"
                same_kind = (got == value) | (np.isnan(got) & np.isnan(value))
                right = np.where(np.isfinite(value), right, same_kind) | np.isinf(bound)
        return cls(got, expected, bound, np.asarray(error), ~np.asarray(right), fmt)

    @property
    def value(self) -> np.ndarray:
        return self.expected.value

    def tally(self) -> Tally:
        tally = Tally(examples=1, elements=self.got.size, deviations=int(self.wrong.any()))
        if self.got.size == 0:
            tally.shares[0] = 1
            return tally
        if self.expected.is_exact and not self.wrong.any():  # then nothing is off
            tally.shares[0] = 1
            return tally
        with np.errstate(all="ignore"):
            # No error is a share of 0, even of a zero bound.
            shares = self.error / np.maximum(self.bound, SMALLEST)
            at = shares.argmax()
            if not math.isfinite(worst := shares.item(at)):  # to infinity there is no distance
                measured = np.isfinite(self.error) & np.isfinite(self.bound)
                shares = np.where(measured, shares, 0.0)
                at = shares.argmax()
                worst = shares.item(at)
        if worst:
            tally.worst_ulp = self.error.item(at) / self.fmt.ulp_of(self.value.item(at))
        tally.worst_share = worst
        tally.shares[min(int(10 * min(worst, 1.0)), 9)] = 1
        tally.vacuous = self.expected.vacuous
        return tally

    def worst(self, count: int) -> list[tuple[np.intp, ...]]:
        """The indices of the elements that are most wrong, by their bounds."""
        with np.errstate(all="ignore"):
            excess = np.where(self.wrong, self.error / self.bound, -1.0)
            excess = np.where(self.wrong & np.isnan(excess), np.inf, excess)
        order = np.argsort(-excess, axis=None, kind="stable")[: min(count, int(self.wrong.sum()))]
        return (
            list(zip(*np.unravel_index(order, excess.shape), strict=True)) if excess.ndim else [()]
        )

    def explain(self) -> str:
        """The worst elements, how wrong they are, and what their bounds are made of."""
        heading = ("", "index", "expected", "got", "ulp off", "/ bound", "bound")
        rows = [heading, *map(self.row, self.worst(WORST))]
        widths = [max(len(row[i]) for row in rows) for i in range(len(heading) - 1)]
        lines = [
            "  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[-1]])
            for row in rows
        ]
        count = f"{int(self.wrong.sum())} of {self.got.size}"
        return "\n".join([f"  wrong elements: {count}, the worst first", *lines])

    def row(self, at: tuple[np.intp, ...]) -> tuple[str, ...]:
        got, value, bound, error = (
            float(x[at]) for x in (self.got, self.value, self.bound, self.error)
        )
        index = f"[{', '.join(map(str, at))}]" if at else "scalar"
        ulps, times = "", ""
        if np.isfinite(error):
            ulps = f"{error / float(self.fmt.ulp(np.asarray(value))):.3g}"
            times = f"{error / bound:.3g}" if bound else "inf"
        made = f"{bound:.3g}: {composition(self.expected, at)}"
        return "", index, f"{value!r}", f"{got!r}", ulps, times, made


def composition(expected: Rounded, at: tuple[np.intp, ...]) -> str:
    """Which parts the bound of one element is made of, the largest first."""
    open_sum = expected.before if expected.before is not None else expected
    with np.errstate(all="ignore"):
        inherited = float(np.broadcast_to(open_sum.error, open_sum.shape)[at])
        rounded = float(open_sum.bound[at]) - inherited
        stored = float(expected.bound[at]) - float(open_sum.bound[at])
    parts = {
        f"{inherited:.3g} inherited from earlier operations": inherited,
        f"{rounded:.3g} from {open_sum.roundings} roundings in {open_sum.rounding.compute.name}": (
            rounded
        ),
        f"{stored:.3g} from storing in {expected.rounding.storage.name}": stored,
    }
    named = sorted((part for part in parts if parts[part] > 0), key=lambda p: -parts[p])
    return ", ".join(named) or "every operation is exact here"
