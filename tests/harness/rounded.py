"""Arrays that carry a bound on their rounding error.

The reference is plain NumPy. Called with float64 arrays it gives the value; called with `Rounded`
arrays the same code gives the value and, for every element, how far a faithful implementation in
another format may be from it. This is running error analysis (Wilkinson; Higham, "Accuracy and
Stability of Numerical Algorithms", chapters 3 and 4), so there is no tolerance to tune.

What an element knows is an *open sum*, value = t_1 + ... + t_n, not yet rounded:

    value       the sum, in float64
    error       how far the terms themselves may be off, all together
    magnitude   |t_1| + ... + |t_n|
    roundings   how many roundings one term can meet before the sum is complete
    underflows  how many roundings there are in all, each of which may meet a subnormal number

Added up in any order, with or without fused multiply-add, an implementation stays within

    bound = error + gamma * (magnitude + error) + underflows * tiny,    gamma = k u / (1 - k u)

with k = roundings. One rounding alone stays within half an ulp of the result; no rounding is exact,
and so is a sum whose terms are multiples of one power of two, few and small enough that every
partial sum fits the format. There the bound is zero, and the comparison bit for bit.

`propagation` says what each operation makes of its operands, `rounding` where an implementation
rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    from tests.harness.rounding import Rounding

Array = np.ndarray
HUGE = 2.0**170  # times the smallest product of two numbers exceeds any count of `tiny`
RULES: dict[Any, Callable[..., Any]] = {}  # NumPy function -> rule, filled by `propagation`


class Rounded(NDArrayOperatorsMixin):
    """An array of open sums. Reference code may do with it whatever `RULES` has a rule for."""

    is_stored = False  # in the format in which its rounding stores: a copy rounds nothing

    def __init__(
        self,
        rounding: Rounding,
        value: Array,
        error: Array | float = 0.0,
        magnitude: Array | None = None,
        roundings: int = 0,
        last_bit: float = -math.inf,
        selected: bool = False,
        before: Rounded | None = None,
        underflows: int | None = None,
    ) -> None:
        self.rounding = rounding
        self.value = np.asarray(value)
        # The float 0.0 where nothing is off, which spares the arithmetic on it; else an array.
        if isinstance(error, float) and error == 0:
            self.error: Array | float = 0.0
        else:
            self.error = np.asarray(error)
            if self.error.shape != self.value.shape:
                self.error = np.broadcast_to(self.error, self.value.shape)
        if magnitude is not None:
            self.magnitude = magnitude
        self.roundings = roundings
        self.underflows = roundings if underflows is None else underflows
        self.last_bit = last_bit  # every term is a multiple of 2**last_bit; -inf if unknown
        self.selected = selected  # no arithmetic yet, so even the sign of a zero is determined
        self.before = before  # what was stored, for the explanation of a failure

    @cached_property
    def magnitude(self) -> Array:
        """Of a sum of one term, unless the constructor was told otherwise."""
        return self.absolute

    @cached_property
    def absolute(self) -> Array:
        """|value|, and 0 for infinities and NaN, which no rounding error reaches."""
        absolute = np.abs(self.value)
        return absolute if self.all_finite else np.where(np.isfinite(absolute), absolute, 0.0)

    @cached_property
    def all_finite(self) -> bool:
        """Whether no element is an infinity or NaN."""
        with np.errstate(all="ignore"):
            return all_finite(self.value)

    @property
    def unlimited_bound(self) -> Array:
        """The bound, were there no largest number."""
        return self._bounds[0]

    @property
    def bound(self) -> Array:
        """How far an implementation may be off. Infinite where a partial sum may overflow."""
        return self._bounds[1]

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        if self.roundings == 0:
            bound = np.zeros_like(self.value) if self.is_exact else np.asarray(self.error)
            return bound, bound
        with np.errstate(all="ignore"):
            return self._bounds_of_sum()

    def _bounds_of_sum(self) -> tuple[Array, Array]:
        compute, k = self.rounding.compute, self.roundings
        gamma = k * compute.unit / (1 - k * compute.unit) if k * compute.unit < 1 else math.inf
        partial_sums = self.absolute if k == 1 else self.magnitude
        reach = plus(partial_sums, self.error)
        if k == 1:
            bound = compute.half_ulp(reach)
        else:
            bound = gamma * reach
            bound += self.underflows * compute.tiny
            bound = np.minimum(bound, HUGE * reach)  # of zeros only, the sum is zero
        bound = plus(bound, self.error)
        if not self.all_finite:  # either settled or anything at all
            bound = np.where(np.isfinite(self.value), bound, self.error)
        if self.last_bit >= compute.last_bit and not self.is_off_everywhere:
            largest = min(2.0 ** min(self.last_bit + compute.precision, 1023), compute.max)
            exact = (self.magnitude <= largest) & (self.error == 0)
            bound = np.where(exact, 0.0, bound) if np.count_nonzero(exact) else bound
        if gamma < 1 and all_below(reach, compute.overflow / 4):
            return bound, bound
        # NaN, which is 0 times what may be anything, is not below it either.
        return bound, np.where(partial_sums + bound < compute.overflow, bound, np.inf)

    @property
    def is_exact(self) -> bool:
        """Nothing is off anywhere, so operations may skip the propagation of errors."""
        return self.roundings == 0 and isinstance(self.error, float)

    @property
    def is_off_everywhere(self) -> bool:
        """No term is exact in any element."""
        return not isinstance(self.error, float) and all_true(self.error)

    @property
    def closed_bound(self) -> Array | float:
        """The bound, or the float 0.0 that spares arithmetic."""
        return 0.0 if self.is_exact else self.bound

    @cached_property
    def vacuous(self) -> float:
        """The share of elements whose bound says nothing, because it is as large as the value.

        Below the smallest normal number it does say something: that the value is tiny.
        """
        nothing = self.bound >= self.absolute
        if not np.count_nonzero(nothing):
            return 0.0
        nothing = nothing & (self.bound >= 2.0**self.rounding.storage.min_exponent)
        return float(np.count_nonzero(nothing) / nothing.size)

    # What NumPy code asks of an array.

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    real = property(lambda self: self)
    T = property(lambda self: self._rearranged(np.transpose))

    def reshape(self, *shape: int) -> Rounded:
        return self._rearranged(lambda x: x.reshape(shape))

    def __getitem__(self, index: Any) -> Rounded:
        return self._rearranged(lambda x: x[index])

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
        return self.__array_function__(np.sum, (), (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: int | None = None, keepdims: bool = False) -> Any:
        return self.__array_function__(np.max, (), (self,), {"axis": axis, "keepdims": keepdims})

    def stretched(self, x: Array) -> Array:
        """To this array's shape."""
        return x if x.shape == self.shape else np.broadcast_to(x, self.shape)

    def _rearranged(self, pick: Callable[[Array], Array]) -> Rounded:
        """Pick or reorder elements: no arithmetic, so the sums stay as they are."""
        picked = Rounded(
            self.rounding,
            pick(self.value),
            0.0 if isinstance(self.error, float) else pick(self.error),
            pick(self.stretched(self.magnitude)) if "magnitude" in vars(self) else None,
            self.roundings,
            self.last_bit,
            self.selected,
            underflows=self.underflows,
        )
        picked.is_stored = self.is_stored
        return picked

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc not in RULES:
            raise TypeError(
                f"no rounding rule for np.{ufunc.__name__} ({method}, {kwargs}): add one"
            )
        with np.errstate(all="ignore"):
            operands = (self.rounding.operand(x) for x in inputs)
            return self.rounding.after(ufunc, RULES[ufunc](*operands))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in RULES:
            raise TypeError(f"no rounding rule for np.{func.__name__}: add one")
        with np.errstate(all="ignore"):
            return self.rounding.after(func, RULES[func](*args, **kwargs))


@dataclass(frozen=True)
class Decision:
    """A comparison: its outcome by the value, and where the error leaves it open."""

    outcome: Array
    open: Array

    def __bool__(self) -> bool:
        """Of one comparison, whose outcome decides a branch."""
        return bool(self.outcome)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return RULES[func](*args, **kwargs)


def plus(x: Any, y: Any) -> Any:
    """x + y, without the work where one of them is the float 0.0."""
    if type(x) is float and x == 0:
        return y
    return x if type(y) is float and y == 0 else x + y


def all_finite(value: Array) -> bool:
    """Quickly: one infinity or NaN makes the sum of squares infinite or NaN."""
    flat = value.reshape(-1)
    return math.isfinite(flat.dot(flat)) or bool(np.isfinite(value).all())


def all_below(x: Array, limit: float) -> bool:
    """The same for numbers that are not negative: no length is shorter than its longest part."""
    flat = x.reshape(-1)
    return flat.dot(flat) < limit * limit or bool(x.max(initial=0.0) < limit)


def all_true(outcome: Array) -> bool:
    """For small arrays four times as fast as their `all`."""
    return np.count_nonzero(outcome) == outcome.size
