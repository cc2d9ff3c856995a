"""The verdict on one result of torch: compare, explain, record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from tests.harness.deviations import ledger
from tests.harness.formats import FORMATS, Format
from tests.harness.rounded import Rounded
from tests.harness.targets import Target


class Deviation(AssertionError):
    """torch computed something that no faithful implementation computes."""


@dataclass
class Tally:
    """What one cell of the matrix has seen."""

    examples: int = 0
    elements: int = 0
    vacuous: float = 0.0  # the share of vacuous elements, summed over examples
    worst_share: float = 0.0  # of the bound
    worst_ulp: float = 0.0
    deviations: int = 0
    known: int = 0  # comparisons that deviate as the ledger says
    test: float = math.inf  # the number of the first test that fed it, for the order of the rows

    def add(self, other: Tally) -> None:
        self.examples += other.examples
        self.elements += other.elements
        self.vacuous += other.vacuous
        self.worst_share = max(self.worst_share, other.worst_share)
        self.worst_ulp = max(self.worst_ulp, other.worst_ulp)
        self.deviations += other.deviations
        self.known += other.known
        self.test = min(self.test, other.test)


Row = tuple[str, str, str, str]  # device, component, path, output


@dataclass
class Record:
    """All that a run has seen: tallies by row and dtype, and what it could not verify."""

    tallies: dict[tuple[Row, str], Tally] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ledger: dict[str, tuple[int, int]] = field(default_factory=dict)  # by id: (agree, deviate)
    test: float = math.inf  # the number of the test that is running

    def tally(self, row: Row, dtype: str) -> Tally:
        return self.tallies.setdefault((row, dtype), Tally(test=self.test))

    def dump(self) -> dict[str, Any]:
        """As lists and numbers, to be sent from a worker process."""
        tallies = [[list(row), dtype, asdict(t)] for (row, dtype), t in self.tallies.items()]
        return {"tallies": tallies, "notes": self.notes, "ledger": self.ledger}

    def merge(self, dump: dict[str, Any]) -> None:
        for row, dtype, tally in dump["tallies"]:
            self.tally(tuple(row), dtype).add(Tally(**tally))
        for text in dump["notes"]:
            self.note(text)
        for known, (agree, deviate) in dump["ledger"].items():
            self.replayed(known, agree, deviate)

    def replayed(self, known: str, agree: int, deviate: int) -> None:
        before = self.ledger.get(known, (0, 0))
        self.ledger[known] = (before[0] + agree, before[1] + deviate)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


RECORD = Record()


def note(text: str) -> None:
    """Have the run say at its end what it did not verify, or verified otherwise than asked."""
    RECORD.note(text)


def check(
    component: str, output: str, target: Target, actual: torch.Tensor | None, expected: Any
) -> None:
    """Compare a result of torch with the reference's, element by element, or raise Deviation.

    A value within the bound of the expected one passes. Infinities and NaN must be those expected.
    A zero that was only copied must have its sign.
    """
    where = f"{component}: {output} on {target}"
    if actual is None:
        raise Deviation(f"{where} is missing: torch returned None")
    described = (str(actual.dtype), tuple(actual.shape), actual.device.type)
    wanted = (str(target.torch_dtype), expected.shape, torch.device(target.device).type)
    if described != wanted:
        raise Deviation(f"{where} is {described}, expected {wanted}")

    got = actual.detach().cpu().double().numpy()
    fmt = FORMATS[target.dtype]
    comparison = Comparison.of(got, expected, fmt)
    tally = RECORD.tally((target.device, component, target.path, output), target.dtype)
    deviates = bool(comparison.wrong.any())
    for known in ledger():
        if known.covers(component, output, target, actual):
            RECORD.replayed(known.id, not deviates, deviates)
            if deviates:
                tally.add(Tally(examples=1, elements=comparison.got.size, known=1))
                return
    tally.add(comparison.tally())
    if deviates:
        raise Deviation(f"{where} deviates from the reference\n{comparison.explain()}")


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
        with np.errstate(all="ignore"):
            error = np.abs(got - value)
            right = error <= bound
            if expected.selected:
                right &= (np.signbit(got) == np.signbit(value)) | (value != 0)
            if not right.all():
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
            return tally
        with np.errstate(all="ignore"):
            # No error is a share of 0, even of a zero bound.
            shares = self.error / np.maximum(self.bound, np.finfo(np.float64).tiny)
            if not np.isfinite(worst := shares.max()):  # to infinity there is no distance
                measured = np.isfinite(self.error) & np.isfinite(self.bound)
                shares = np.where(measured, shares, 0.0)
                worst = shares.max()
            at = np.unravel_index(shares.argmax(), shares.shape)
            tally.worst_ulp = float(self.error[at] / self.fmt.ulp(self.value[at])) if worst else 0.0
        tally.worst_share = float(worst)
        # A bound of the size of the value says nothing about it. Below the smallest normal number
        # it does: that the value is tiny.
        vacuous = self.bound >= self.expected.absolute
        if vacuous.any():
            vacuous &= self.bound >= 2.0**self.fmt.min_exponent
            tally.vacuous = np.count_nonzero(vacuous) / vacuous.size
        return tally

    def explain(self) -> str:
        """The worst element, how wrong it is, and what its bound is made of."""
        with np.errstate(all="ignore"):
            excess = np.where(self.wrong, self.error / self.bound, -1.0)
            excess = np.where(self.wrong & np.isnan(excess), np.inf, excess)
        at = np.unravel_index(int(np.argmax(excess)), self.got.shape)
        got, value, bound, error = (
            float(x[at]) for x in (self.got, self.value, self.bound, self.error)
        )
        index = f"[{', '.join(map(str, at))}]" if at else "the scalar"
        count = f"{int(self.wrong.sum())} of {self.got.size}"
        lines = [
            f"  {count} elements are wrong; the worst is {index}:",
            f"  expected  {value!r}  ({value.hex()})",
            f"  got       {got!r}  ({got.hex()})",
        ]
        if np.isfinite(error):
            ulps = error / float(self.fmt.ulp(np.asarray(value)))
            times = f"{error / bound:.3g} times the bound" if bound else "where it must be exact"
            lines.append(f"  error     {error:.3g} = {ulps:.3g} ulp, {times}")
        lines.append(f"  bound     {bound:.3g}: {composition(self.expected, at)}")
        return "\n".join(lines)


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
