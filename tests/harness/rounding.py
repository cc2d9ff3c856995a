"""Where an implementation rounds, and from where its sums are closed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from tests.harness import propagation  # noqa: F401  (its rules make Rounded arrays compute)
from tests.harness.formats import FLOAT32, FORMATS, Format, flushes_here, last_bit
from tests.harness.products import Products, products_on
from tests.harness.rounded import RULES, Array, Rounded, all_below, all_finite, all_true

# They copy what has been stored, and round nothing.
COPIES = (
    *(np.maximum, np.minimum, np.max, np.min, np.where),
    *(np.absolute, np.negative, np.broadcast_to, np.moveaxis, np.stack),
)


@dataclass(frozen=True, eq=False)
class Rounding:
    """The formats in which an implementation computes and stores, and when it stores.

    A kernel computes in one format and rounds to another, once, when it stores: float16 and
    bfloat16 kernels compute in float32.
    """

    compute: Format
    storage: Format
    scalars: Format  # what a Python number is rounded to before it meets an array
    stores: tuple[Any, ...] = ()  # NumPy functions whose results it stores on the way, too
    factors: Format | None = None  # what a matrix product rounds its operands to, if anything
    parts: Format | None = None  # what it stores parts of its sums in, if in anything

    @classmethod
    @lru_cache
    def kernel(cls, dtype: str, stores: tuple[Any, ...] = (), flushes: bool = False) -> Rounding:
        """The whole formula is one kernel."""
        storage = arithmetic(dtype)
        if storage.precision >= FLOAT32.precision:
            return cls(storage, storage, storage)
        compute = replace(FLOAT32, flushes=flushes or flushes_here())
        return cls(compute, storage, compute, stores)

    @classmethod
    @lru_cache
    def op_by_op(cls, dtype: str, flushes: bool = False) -> Rounding:
        """Every operation of the formula is a kernel of its own.

        Some of torch's (`add` with its `alpha`, the foreach ones) round a Python number to the
        dtype of the arrays first, and others do not.
        """
        kernel = cls.kernel(dtype, flushes=True) if flushes else cls.kernel(dtype)  # of one cache
        if kernel.compute == kernel.storage:
            return kernel
        stores = tuple(function for function in RULES if function not in COPIES)
        return cls(kernel.compute, kernel.storage, kernel.storage, stores)

    @classmethod
    @lru_cache
    def native(cls, dtype: str) -> Rounding:
        """One kernel that computes, and so accumulates, in the format of its arrays."""
        return cls(*3 * (arithmetic(dtype),))

    def on(self, device: str) -> Rounding:
        """The same on a device, with its ways to multiply matrices as the switches are now."""
        return with_products(self, products_on(device, self.storage.name))

    def array(self, exact: Any) -> Any:
        """What a kernel reads: numbers known exactly, or what another kernel has stored.

        A Rounded array; typed so that the references, whose formulas are of NumPy arrays, take it.
        """
        if isinstance(exact, Rounded):
            return Rounded(self, exact.value, exact.closed_bound, None, 0, exact.last_bit)
        value = np.asarray(exact, np.float64)
        error: Array | float = 0.0
        if self.compute.flushes:
            subnormal = np.abs(value) < 2.0**self.compute.min_exponent
            error = np.where(subnormal, np.abs(value), 0.0) if subnormal.any() else 0.0
        return Rounded(self, value, error, last_bit=last_bit(value), selected=True)

    @lru_cache(maxsize=1000)  # noqa: B019  (a handful of instances, alive throughout)
    def scalar(self, number: float) -> Rounded:
        """A Python number that meets an array."""
        value = np.asarray(number, np.float64)
        error = 0.0 if self.scalars.holds(value) else self.scalars.half_ulp(np.abs(value))
        if np.isfinite(value) and abs(number) >= self.scalars.overflow:
            error = math.inf
        return Rounded(self, value, error, last_bit=last_bit(value))

    def operand(self, x: Any) -> Rounded:
        """Whatever stands beside a Rounded array in a formula."""
        if isinstance(x, Rounded):
            return x
        return self.scalar(x) if isinstance(x, int | float) else self.array(x)

    def after(self, function: Any, x: Any) -> Any:
        """The result of a NumPy function within the formula."""
        if function not in self.stores or not isinstance(x, Rounded):
            return x
        return self._stored(x, certain_overflow=False)

    def stored(self, x: Any) -> Rounded:
        """What lies in memory: the sum closed and rounded to the storage format.

        In the middle of a formula an overflow admits anything, since an implementation may scale
        or order the terms so as to avoid it. At its end, where all terms pull the same way, there
        is no choice: the result is infinite.
        """
        with np.errstate(all="ignore"):
            if x.is_stored and x.rounding is self:  # by the last operation of the formula
                if all_finite(x.bound):
                    return x
                x = x if x.before is None else x.before
            return self._stored(x, certain_overflow=True)

    def _stored(self, x: Any, certain_overflow: bool) -> Rounded:
        value, bound = overflowed(x) if certain_overflow else (x.value, x.bound)
        if self.storage != self.compute:
            value, bound = self.narrowed(x, value, bound, certain_overflow)
        error = bound if np.count_nonzero(bound) else 0.0
        stored = Rounded(self, value, error, None, 0, x.last_bit, x.selected, before=x)
        stored.is_stored = True
        if value is x.value:
            stored.absolute, stored.all_finite = x.absolute, x.all_finite
        return stored

    def narrowed(
        self, x: Rounded, value: Array, bound: Array, certain_overflow: bool
    ) -> tuple[Array, Array]:
        """Value and bound of what is rounded to a narrower format."""
        size = x.absolute if value is x.value and x.all_finite else np.abs(value)
        reach = size + bound
        rounded = bound + self.storage.half_ulp(reach)
        if not all_true(bound):
            rounded = np.where((bound == 0) & self.storage.holds(value), bound, rounded)
        if all_below(reach, self.storage.overflow):  # and nothing is infinite or NaN
            return value, rounded
        finite = np.isfinite(value)
        overflows = finite & (reach >= self.storage.overflow)
        certain = overflows & (size - bound >= self.storage.overflow) & certain_overflow
        rounded = np.where(overflows, np.where(certain, 0.0, np.inf), rounded)
        return (
            np.where(certain, np.copysign(np.inf, value), value),
            np.where(finite, rounded, bound),
        )


@lru_cache
def with_products(rounding: Rounding, products: Products) -> Rounding:
    if products == Products():
        return rounding
    compute = products.sums or rounding.compute
    return replace(rounding, compute=compute, factors=products.factors, parts=products.parts)


def arithmetic(dtype: str) -> Format:
    """float64 is as coarse in NumPy as in torch: there either may be off by a rounding."""
    fmt = FORMATS[dtype]
    # float16 is computed in float32, of which its subnormal numbers are normal ones.
    if fmt.min_exponent <= FLOAT32.min_exponent and flushes_here():  # for a whole run, or not
        fmt = replace(fmt, flushes=True)
    return replace(fmt, times=2.0) if fmt.precision == 53 else fmt


def overflowed(x: Rounded) -> tuple[Array, Array]:
    """Value and bound, the value infinite where all terms pull the same way, too far."""
    free = x.unlimited_bound
    if x.bound is free:  # nothing overflows
        return x.value, free
    # The terms that pull the other way, as large as they may be, and what float64 cannot tell.
    against = x.magnitude - np.abs(x.value) + x.error + x.roundings * 2.0**-52 * x.magnitude
    one_way = against < x.rounding.compute.overflow
    beyond = np.abs(x.value) - free >= x.rounding.compute.overflow
    certain = np.isfinite(x.value) & one_way & beyond
    if not certain.any():
        return x.value, x.bound
    value = np.where(certain, np.copysign(np.inf, x.value), x.value)
    return value, np.where(certain, 0.0, x.bound)
