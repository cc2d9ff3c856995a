"""NumPy code, run as a chip may run it.

A `Machine` array adds in random order, one term after the other or in a tree, fuses products into
sums or does not, and rounds where its `Rounding` says. It simulates every format through float64:
twice as many digits and two more make the second rounding harmless (Figueroa, 1995).
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tests.harness.rounding import Rounding

Array = np.ndarray


class Numbers(NDArrayOperatorsMixin):
    """An array on which NumPy calls the methods that are named like its functions."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any) -> Any:
        operands = (x if isinstance(x, Numbers) else self.scalar(x) for x in inputs)
        return self.after(getattr(self, f"np_{ufunc.__name__}")(*operands))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.after(getattr(self, f"np_{func.__name__}")(*args, **kwargs))

    def scalar(self, number: float) -> Any:
        raise NotImplementedError

    def after(self, result: Any) -> Any:
        return result


@dataclass(frozen=True)
class Chip:
    """One faithful implementation."""

    rounding: Rounding
    random: np.random.Generator
    tree: bool  # adds pairs, and pairs of pairs
    fused: bool  # multiplies and adds with one rounding

    def round(self, x: Array) -> Array:
        return self.rounding.compute.round(x)

    def add(self, a: Array, b: Array) -> Array:
        """Of two products, a fused instruction rounds one before it adds the other."""
        return self.round(self.round(a) + b)

    def add_up(self, terms: list[Array]) -> Array:
        terms = [terms[i] for i in self.random.permutation(len(terms))]
        while self.tree and len(terms) > 2:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [*terms[len(terms) // 2 * 2 :], *(self.add(a, b) for a, b in pairs)]
        return reduce(self.add, terms[1:], self.round(terms[0]))

    def faithful(self, x: Array, trivial: Array) -> Array:
        """Rounded up or down, whichever: less than 1 ulp off."""
        nearest = self.round(x)
        other = self.round(nearest + np.copysign(self.rounding.compute.ulp(x), x - nearest))
        certain = trivial | (nearest == x) | ~np.isfinite(other)
        return np.where(certain | (self.random.random(x.shape) < 0.5), nearest, other)


class Machine(Numbers):
    """What a chip computes: the terms of a sum, which it adds up when it must."""

    def __init__(self, chip: Chip, *terms: Array) -> None:
        self.chip, self.terms = chip, np.broadcast_arrays(*terms)
        self.shape = self.terms[0].shape

    def scalar(self, number: float) -> "Machine":
        """A Python number, rounded to one or the other of the formats that it may be."""
        formats = self.chip.rounding.scalars, self.chip.rounding.compute
        return self.of(formats[self.chip.random.integers(2)].round(np.asarray(number)))

    def after(self, result: Any) -> Any:
        every_operation_stores = np.add in self.chip.rounding.stores
        if every_operation_stores and isinstance(result, Machine):
            return self.of(result.stored)
        return result

    def of(self, *terms: Array) -> "Machine":
        return Machine(self.chip, *terms)

    def rounded(self, *terms: Array) -> "Machine":
        return self.of(*(self.chip.round(t) for t in terms))

    def products(self, *terms: Array) -> "Machine":
        return self.of(*terms) if self.chip.fused else self.rounded(*terms)

    @property
    def closed(self) -> Array:
        return self.chip.add_up(list(self.terms))

    @property
    def stored(self) -> Array:
        return self.chip.rounding.storage.round(self.closed)

    T = property(lambda self: self.of(*(t.T for t in self.terms)))

    def __getitem__(self, index: Any) -> "Machine":
        return self.of(*(t[index] for t in self.terms))

    def np_add(self, a: "Machine", b: "Machine") -> "Machine":
        return self.of(*a.terms, *b.terms)

    def np_negative(self, a: "Machine") -> "Machine":
        return self.of(*(-t for t in a.terms))

    def np_subtract(self, a: "Machine", b: "Machine") -> "Machine":
        return self.rounded(a.closed - b.closed)

    def np_multiply(self, a: "Machine", b: "Machine") -> "Machine":
        return self.products(a.closed * b.closed)

    def np_divide(self, a: "Machine", b: "Machine") -> "Machine":
        return self.rounded(a.closed / b.closed)

    def np_power(self, a: "Machine", exponent: "Machine") -> "Machine":
        factors = [a.closed] * int(exponent.terms[0])
        return self.of(reduce(lambda x, y: self.chip.round(x * y), factors))

    def np_sqrt(self, a: "Machine") -> "Machine":
        return self.rounded(np.sqrt(a.closed))

    def np_exp(self, a: "Machine") -> "Machine":
        x = a.closed
        return self.of(self.chip.faithful(np.exp(x), x == 0))

    def np_log(self, a: "Machine") -> "Machine":
        x = a.closed
        return self.of(self.chip.faithful(np.log(x), x == 1))

    def np_log1p(self, a: "Machine") -> "Machine":
        x = a.closed
        return self.of(self.chip.faithful(np.log1p(x), x == 0))

    def np_matmul(self, a: "Machine", b: "Machine") -> "Machine":
        x, y = a.closed, b.closed
        return self.products(*(x[:, k, None] * y[k] for k in range(x.shape[1])))

    def np_sum(self, a: "Machine", axis: int, keepdims: bool) -> "Machine":
        assert keepdims
        return self.of(*(t.take([k], axis) for t in a.terms for k in range(a.shape[axis])))

    def np_max(self, a: "Machine", axis: int, keepdims: bool) -> "Machine":
        return self.of(a.closed.max(axis=axis, keepdims=keepdims))

    def np_less_equal(self, a: "Machine", b: "Machine") -> Array:
        return np.asarray(a.closed <= b.closed)

    def np_where(self, condition: Array, a: Any, b: Any) -> "Machine":
        constant = self.chip.rounding.storage.round
        x, y = (v.closed if isinstance(v, Machine) else constant(np.asarray(v)) for v in (a, b))
        return self.of(np.where(condition, x, y))
