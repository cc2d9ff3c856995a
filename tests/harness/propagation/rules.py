"""How a rule is registered, and what every rule's result has in common."""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from tests.harness.rounded import RULES, Array, Rounded, all_finite, plus

Rule = Callable[..., Any]


def rule(function: Any) -> Callable[[Rule], Rule]:
    """Register the rule of a NumPy function."""

    def register(implementation: Rule) -> Rule:
        RULES[function] = implementation
        return implementation

    return register


def result(
    operands: tuple[Rounded, ...],
    value: Array,
    error: Array | float,
    magnitude: Array | None = None,
    roundings: int = 1,
    last_bit: float = -math.inf,
    prescribed: Callable[[], Array] | None = None,
    underflows: int | None = None,
) -> Rounded:
    """An operation's result, its infinities and NaNs sorted into prescribed and doubtful.

    `prescribed` finds the elements where IEEE 754 settles the outcome because an operand is
    infinite or NaN. Any other infinity in `value` is an overflow of float64 or a division by what
    may be zero, and admits everything.
    """
    one, other = operands[0], operands[-1]
    # Scalars follow arrays.
    rounding = (other if other.value.ndim > one.value.ndim else one).rounding
    finite_throughout = all_finite(value)
    if not finite_throughout:
        finite = np.isfinite(value)
        settled = prescribed() if prescribed else settled_by_operands(*operands)
        if magnitude is not None:
            # Of a sum: the other terms, as large as they may come to be before the infinite one.
            reach = plus(magnitude, error) * (1 + roundings * rounding.compute.unit)
            settled = settled & (reach < rounding.compute.overflow)
            magnitude = np.where(finite, magnitude, reach)
        error = np.where(finite, error, np.where(settled, 0.0, np.inf))
    rounded = Rounded(rounding, value, error, magnitude, roundings, last_bit, underflows=underflows)
    rounded.all_finite = finite_throughout
    return rounded


def settled_by_operands(*operands: Rounded) -> Array:
    """Elementwise: NaN makes NaN; what infinity makes is sure if no operand is in doubt."""
    nan = reduce(np.logical_or, [np.isnan(x.value) for x in operands])
    infinite = reduce(np.logical_or, [np.isinf(x.value) for x in operands])
    doubt = reduce(np.maximum, [x.bound for x in operands])
    return (nan & np.isfinite(doubt)) | (infinite & (doubt == 0))


def settled_sum(*terms: Rounded) -> Callable[[], Array]:
    """A sum with an infinite or NaN term: a finite error of the others changes nothing."""

    def settled() -> Array:
        finite = reduce(np.logical_and, [np.isfinite(x.value) for x in terms])
        certain = reduce(np.logical_and, [np.isfinite(x.bound) for x in terms])
        return ~finite & certain

    return settled
