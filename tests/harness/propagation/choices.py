"""Operations that copy one of their operands, and the comparisons that decide which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.harness.formats import FORMATS
from tests.harness.propagation.rules import Rule, rule
from tests.harness.rounded import Array, Decision, Rounded, plus

if TYPE_CHECKING:
    from tests.harness.rounding import Rounding


def extreme(reduce: Any, choose: np.ufunc) -> tuple[Rule, Rule]:
    """The rules of a maximum or minimum along axes, and of the larger or smaller of two."""

    def along(a: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
        """It moves by no more than the element that moves most; of two zeros it is either."""
        value = reduce(a.value, axis=axis, keepdims=keepdims)
        error = 0.0 if a.is_exact else a.bound.max(axis=axis, keepdims=keepdims)
        return Rounded(a.rounding, value, error, last_bit=a.last_bit)

    def of_two(a: Rounded, b: Rounded) -> Rounded:
        """Off by no more than either, and by the error of the one that is taken if it is sure."""
        value = choose(a.value, b.value)
        error: Array | float = 0.0
        if not (a.is_exact and b.is_exact):
            either = np.maximum(a.closed_bound, b.closed_bound)
            sure = np.abs(a.value - b.value) > plus(a.closed_bound, b.closed_bound)
            of_taken = np.where(value == a.value, a.closed_bound, b.closed_bound)
            error = np.where(sure, of_taken, either)
        return Rounded(a.rounding, value, error, last_bit=min(a.last_bit, b.last_bit))

    return along, of_two


for reduction, choice in ((np.max, np.maximum), (np.min, np.minimum)):
    along, of_two = extreme(reduction, choice)
    rule(reduction)(along)
    rule(choice)(of_two)


@rule(np.where)
def where(condition: Array | Decision, a: Any, b: Any) -> Rounded:
    """A choice copies. Where it is open, either outcome is admitted."""
    rounding = next(x.rounding for x in (a, b) if isinstance(x, Rounded))
    # A Python number here is a constant that gets stored, not an operand of some arithmetic.
    a, b = (x if isinstance(x, Rounded) else rounding.array(x) for x in (a, b))
    outcome = condition.outcome if isinstance(condition, Decision) else condition
    value = np.where(outcome, a.value, b.value)
    bit = min(a.last_bit, b.last_bit)
    if isinstance(condition, Decision) and condition.open.any():
        at = np.broadcast_to(condition.open, value.shape)
        decided = np.where(outcome, a.closed_bound, b.closed_bound)
        error = np.broadcast_to(decided, value.shape).copy()
        error[at] = np.maximum(*(reach(x, value, at) for x in (a, b)))
        return Rounded(rounding, value, error, last_bit=bit)
    return Rounded(
        rounding,
        value,
        np.where(outcome, a.error, b.error) if np.any(a.error) or np.any(b.error) else 0.0,
        np.where(outcome, a.magnitude, b.magnitude),
        max(a.roundings, b.roundings),
        bit,
        a.selected and b.selected,
        underflows=max(a.underflows, b.underflows),
    )


def reach(x: Rounded, value: Array, at: Array) -> Array:
    """How far x, as much as it is off itself, is from the value at most, at some elements."""
    number, bound = (np.broadcast_to(y, value.shape)[at] for y in (x.value, x.closed_bound))
    apart = np.where(number == value[at], 0.0, np.abs(number - value[at])) + bound
    return np.where(np.isnan(apart), np.inf, apart)


@rule(np.ones_like)
def ones_like(a: Rounded) -> Rounded:
    return a.rounding.array(np.ones(a.shape))


@rule(np.zeros_like)
def zeros_like(a: Rounded) -> Rounded:
    return a.rounding.array(np.zeros(a.shape))


@rule(np.shape)
def shape(a: Rounded) -> tuple[int, ...]:
    return a.shape


@rule(np.broadcast_to)
def broadcast_to(a: Rounded, shape: tuple[int, ...]) -> Rounded:
    return a._rearranged(lambda x: np.broadcast_to(x, shape))


@rule(np.moveaxis)
def moveaxis(a: Rounded, source: int, destination: int) -> Rounded:
    return a._rearranged(lambda x: np.moveaxis(x, source, destination))


@rule(np.stack)
def stack(arrays: list[Rounded]) -> Rounded:
    """Side by side in memory: each has been stored, and all widen to a format that holds all."""
    stored = [a.rounding.stored(a) for a in arrays]
    exact = all(isinstance(a.error, float) for a in stored)
    return Rounded(
        common(stored),
        np.stack([a.value for a in stored]),
        0.0 if exact else np.stack([np.broadcast_to(a.error, a.shape) for a in stored]),
        last_bit=min(a.last_bit for a in stored),
        selected=all(a.selected for a in stored),
    )


def common(arrays: list[Rounded]) -> Rounding:
    """The rounding of them all, or a kernel's in the narrowest format that holds their numbers."""
    first, *others = (a.rounding for a in arrays)
    if all(other is first for other in others):
        return first
    need = [r.storage for r in (first, *others)]
    precision, exponent = max(f.precision for f in need), max(f.max_exponent for f in need)
    holding = [
        f for f in FORMATS.values() if f.precision >= precision and f.max_exponent >= exponent
    ]
    return first.kernel(min(holding, key=lambda f: f.precision).name)


def compare(comparison: np.ufunc) -> Rule:
    def decide(a: Rounded, b: Rounded) -> Array | Decision:
        outcome = comparison(a.value, b.value)
        if a.is_exact and b.is_exact:
            return outcome
        doubt = a.closed_bound + b.closed_bound
        near = (np.abs(a.value - b.value) <= doubt) & (doubt > 0)
        return Decision(outcome, near | np.isinf(doubt))

    return decide


for comparison in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal):
    rule(comparison)(compare(comparison))


@rule(np.isfinite)
def is_finite(a: Rounded) -> Array:
    """By the value: where it may overflow, or may not, is for the caller to leave out."""
    return np.isfinite(a.value)
