"""Operations that copy one of their operands, and the comparisons that decide which."""

from typing import Any

import numpy as np

from tests.harness.propagation.rules import Rule, rule
from tests.harness.rounded import Array, Decision, Rounded, plus


@rule(np.max)
def maximum(a: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
    """A maximum moves by no more than the element that moves most; of two zeros it is either."""
    value = a.value.max(axis=axis, keepdims=keepdims)
    error = 0.0 if a.is_exact else a.bound.max(axis=axis, keepdims=keepdims)
    return Rounded(a.rounding, value, error, last_bit=a.last_bit)


@rule(np.maximum)
def larger(a: Rounded, b: Rounded) -> Rounded:
    """The larger of two is off by no more than either, and by the larger's error if it is sure."""
    value = np.maximum(a.value, b.value)
    error: Array | float = 0.0
    if not (a.is_exact and b.is_exact):
        either = np.maximum(a.closed_bound, b.closed_bound)
        sure = np.abs(a.value - b.value) > plus(a.closed_bound, b.closed_bound)
        error = np.where(sure, np.where(a.value > b.value, a.closed_bound, b.closed_bound), either)
    return Rounded(a.rounding, value, error, last_bit=min(a.last_bit, b.last_bit))


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
        apart = (np.where(x.value == value, 0.0, np.abs(x.value - value)) for x in (a, b))
        either = np.maximum(*(x.closed_bound + d for x, d in zip((a, b), apart, strict=True)))
        either = np.where(np.isnan(either), np.inf, either)
        decided = np.where(outcome, a.closed_bound, b.closed_bound)
        return Rounded(rounding, value, np.where(condition.open, either, decided), last_bit=bit)
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
    """Copies, side by side."""
    exact = all(isinstance(a.error, float) for a in arrays)
    return Rounded(
        arrays[0].rounding,
        np.stack([a.value for a in arrays]),
        0.0 if exact else np.stack([np.broadcast_to(a.error, a.shape) for a in arrays]),
        np.stack([np.broadcast_to(a.magnitude, a.shape) for a in arrays]),
        max(a.roundings for a in arrays),
        min(a.last_bit for a in arrays),
        all(a.selected for a in arrays),
        underflows=max(a.underflows for a in arrays),
    )


def compare(comparison: np.ufunc) -> Rule:
    def decide(a: Rounded, b: Rounded) -> Array | Decision:
        outcome = comparison(a.value, b.value)
        if a.is_exact and b.is_exact:
            return outcome
        doubt = a.closed_bound + b.closed_bound
        near = (np.abs(a.value - b.value) <= doubt) & (doubt > 0)
        return Decision(outcome, near | np.isinf(doubt))

    return decide


for comparison in (np.less, np.less_equal, np.greater, np.greater_equal):
    rule(comparison)(compare(comparison))
