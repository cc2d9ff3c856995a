"""Binary floating-point formats: what a number becomes when it is stored."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

NUMPY_ROUNDS = ("float32", "float16")
EXPONENT_BITS = np.int64(0x7FF0_0000_0000_0000)  # of float64


@dataclass(frozen=True)
class Format:
    """A format with `precision` significant bits and normal numbers from 2^min_exponent on.

    Every format here is narrower than, or equal to, float64; so float64 arrays hold its numbers.
    """

    name: str  # torch's name of the dtype
    precision: int  # p, the hidden bit included
    min_exponent: int  # of the smallest normal number
    max_exponent: int  # of the largest
    flushes: bool = False  # arithmetic takes, and makes, subnormal numbers as zero
    times: float = 1.0  # that each rounding counts: twice where the reference rounds as coarsely

    @cached_property
    def unit(self) -> float:
        """The unit roundoff u: rounding a normal number changes it by at most u times itself."""
        return self.times * 2.0**-self.precision

    @cached_property
    def last_bit(self) -> int:
        """The format's numbers are multiples of 2^last_bit, its smallest positive number."""
        return self.min_exponent if self.flushes else self.min_exponent - self.precision + 1

    @cached_property
    def tiny(self) -> float:
        """Half the smallest subnormal number: the most that rounding changes any subnormal."""
        if self.flushes:
            return 2.0**self.min_exponent
        # float64 cannot hold its own half.
        return max(math.ldexp(self.times, self.last_bit - 1), 2.0**-1074)

    @cached_property
    def max(self) -> float:
        """The largest finite number."""
        return (2 - 2.0 ** (1 - self.precision)) * 2.0**self.max_exponent

    @cached_property
    def overflow(self) -> float:
        """From here on, half an ulp above `max`, numbers round to infinity."""
        return self.max + 2.0 ** (self.max_exponent - self.precision)  # inf for float64

    def half_ulp(self, x: np.ndarray) -> np.ndarray:
        """The most that rounding to nearest changes a number of absolute value at most x >= 0."""
        x = np.asarray(x, np.float64)
        power_of_two = (x.view(np.int64) & EXPONENT_BITS).view(np.float64)
        half = np.asarray(power_of_two * self.unit)
        np.maximum(half, self.tiny, out=half)
        # The smallest numbers round to a multiple of 2 tiny: zero, for less than tiny.
        return np.minimum(half, x, out=half)

    def ulp(self, x: np.ndarray) -> np.ndarray:
        """The spacing of the format's numbers at x."""
        return np.maximum(2 * self.half_ulp(np.abs(x)), 2.0**self.last_bit)

    def ulp_of(self, x: float) -> float:
        """The same of one number."""
        return math.ldexp(1.0, max(math.frexp(x)[1] - self.precision, self.last_bit))

    def round(self, x: np.ndarray) -> np.ndarray:
        """Round to nearest, ties to even, as float64; overflow gives infinity."""
        x = np.asarray(x, np.float64)
        if self.precision == 53:
            return x
        if self.name in NUMPY_ROUNDS:
            with np.errstate(over="ignore", under="ignore"):
                return x.astype(self.name).astype(np.float64)
        _, exponent = np.frexp(x)
        last_bit = np.maximum(exponent, self.min_exponent + 1) - self.precision
        rounded = np.ldexp(np.rint(np.ldexp(x, -last_bit)), last_bit)
        return np.where(np.abs(rounded) > self.max, np.copysign(np.inf, x), rounded)

    def holds(self, x: np.ndarray) -> np.ndarray:
        """Where x is one of the format's numbers."""
        return (self.round(x) == x) | np.isnan(x)


FLOAT64 = Format("float64", precision=53, min_exponent=-1022, max_exponent=1023)
FLOAT32 = Format("float32", precision=24, min_exponent=-126, max_exponent=127)
BFLOAT16 = Format("bfloat16", precision=8, min_exponent=-126, max_exponent=127)
FLOAT16 = Format("float16", precision=11, min_exponent=-14, max_exponent=15)

FORMATS = {f.name: f for f in (FLOAT64, FLOAT32, BFLOAT16, FLOAT16)}


SMALLEST, ONE = 5e-324, 1.0


def flushes_here() -> bool:
    """Whether the arithmetic of this thread, Python's own included, flushes subnormal numbers."""
    return SMALLEST * ONE == 0


def last_bit(x: np.ndarray) -> float:
    """The exponent e of the largest 2^e of which every finite element of x is a multiple.

    Sums and products of such multiples are multiples of a known 2^e again, which is how exactness
    is recognised. Infinite when all elements are zero: zero is a multiple of anything. Large
    arrays are not searched: among many numbers of any variety, exactness does not survive.
    """
    if x.size > 10_000:
        return -np.inf
    x = np.asarray(x, np.float64)
    x = x[np.isfinite(x) & (x != 0)]
    if x.size == 0:
        return np.inf
    mantissa, exponent = np.frexp(x)
    integer = np.ldexp(mantissa, 53).astype(np.int64)
    _, trailing = np.frexp((integer & -integer).astype(np.float64))
    return float(np.min(exponent + trailing)) - 54
