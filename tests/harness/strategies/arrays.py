"""Arrays: numbers in a shape and a layout, made into whatever a target needs."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.formats import FORMATS
from tests.harness.reproducer.pause import literal
from tests.harness.strategies.layouts import LAYOUTS, layouts_for
from tests.harness.strategies.values import Values, block, block_of, values_of
from tests.harness.targets import Target


@dataclass(frozen=True, repr=False)
class DrawnArray:
    """One array of a case, before it has a dtype or a device."""

    shape: tuple[int, ...]
    values: Values
    layout: str

    def numbers(self, dtype: str) -> np.ndarray:
        """The numbers as float64, each of which the dtype holds; read-only."""
        return numbers_of(self, dtype)

    def made(self, dtype: str) -> np.ndarray:
        """What `numbers` keeps, for all that ask for it."""
        numbers = self.values.numbers(FORMATS[dtype]).reshape(self.shape)
        if self.layout == "expanded" and self.shape and self.shape[0]:
            numbers = np.broadcast_to(numbers[:1], self.shape)
        return numbers

    @literal
    def tensor(self, target: Target, requires_grad: bool = False) -> torch.Tensor:
        """The numbers on a target's device, in its dtype and in the layout; a leaf."""
        numbers = tensor_of(self, target.dtype).to(target.device, copy=True)
        return LAYOUTS[self.layout](numbers).detach().requires_grad_(requires_grad)

    def __repr__(self) -> str:
        drawn = f"{self.values.family} in shape {self.shape}, {self.layout}"
        if self.values.size > 16:
            return f"<{drawn}>"
        numbers = np.array2string(self.numbers("float64"), separator=", ", floatmode="unique")
        return f"<{' '.join(numbers.split())}: {drawn}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis would print the fields."""
        printer.text(repr(self))


@lru_cache(maxsize=64)
def numbers_of(array: DrawnArray, dtype: str) -> np.ndarray:
    """The arrays of one case are asked for by each path through torch."""
    numbers = array.made(dtype)
    numbers.flags.writeable = False
    return numbers


@lru_cache(maxsize=64)
def tensor_of(array: DrawnArray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(array.numbers(dtype).copy()).to(getattr(torch, dtype))


@lru_cache(maxsize=1000)  # see `sides`
def arrays(
    shape: tuple[int, ...],
    family: str,
    layout: str | None = None,
    special: float = 1 / 8,
    may_overlap: bool = True,
) -> st.SearchStrategy[DrawnArray]:
    """An array of a shape, its numbers from a family, in a drawn layout unless one is given.

    Unless it `may_overlap`, no two of its elements share memory.

    A share `special` of the arrays has special values: zeros, infinities, NaN. In a sum they say
    little about anything else, so they are rare where sums are.
    """
    size = math.prod(shape)
    layouts = (layout,) if layout else layouts_for(len(shape), may_overlap)

    def array(drawn: bytes) -> DrawnArray:
        values = values_of(drawn[1:], size, family, special)
        return DrawnArray(shape, values, layouts[drawn[0] % len(layouts)])

    return block(1 + block_of(size, special)).map(array)
