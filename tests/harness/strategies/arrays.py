"""Arrays: numbers in a shape and a layout, made into whatever a target needs."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.formats import FORMATS
from tests.harness.strategies.layouts import LAYOUTS, layouts_of
from tests.harness.strategies.values import Values, values
from tests.harness.targets import Target


@dataclass(frozen=True, repr=False)
class DrawnArray:
    """One array of a case, before it has a dtype or a device."""

    shape: tuple[int, ...]
    values: Values
    layout: str

    def numbers(self, dtype: str) -> np.ndarray:
        """The numbers as float64, each of which the dtype holds."""
        numbers = self.values.numbers(FORMATS[dtype]).reshape(self.shape)
        if self.layout == "expanded" and self.shape and self.shape[0]:
            numbers = np.broadcast_to(numbers[:1], self.shape)
        return numbers

    def tensor(self, target: Target, requires_grad: bool = False) -> torch.Tensor:
        """The numbers on a target's device, in its dtype and in the layout; a leaf."""
        numbers = torch.from_numpy(self.numbers(target.dtype).copy())
        tensor = LAYOUTS[self.layout](numbers.to(target.device, target.torch_dtype))
        return tensor.detach().requires_grad_(requires_grad)

    def __repr__(self) -> str:
        drawn = f"{self.values.family} in shape {self.shape}, {self.layout}"
        if self.values.size > 16:
            return f"<{drawn}>"
        numbers = np.array2string(self.numbers("float64"), separator=", ", floatmode="unique")
        return f"<{' '.join(numbers.split())}: {drawn}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis would print the fields."""
        printer.text(repr(self))


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...],
    family: str,
    layout: str | None = None,
    special: float = 1 / 8,
) -> DrawnArray:
    """An array of a shape, its numbers from a family, in a drawn layout unless one is given.

    A share `special` of the arrays has special values: zeros, infinities, NaN. In a sum they say
    little about anything else, so they are rare where sums are.
    """
    numbers = draw(values(math.prod(shape), family, special))
    return DrawnArray(shape, numbers, layout or draw(layouts_of(len(shape))))
