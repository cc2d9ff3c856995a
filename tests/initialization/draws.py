"""Tensors to be filled, in every shape and layout, and many of them where they are small."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.formats import FORMATS
from tests.harness.reproducer.pause import literal
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.layouts import LAYOUTS, everything
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Target
from tests.harness.verdict import deviates

Fill = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

layouts = st.sampled_from([name for name in LAYOUTS if name != "expanded"])
seeds = st.integers(0, 2**63 - 1)


@dataclass(frozen=True, repr=False)
class Empty:
    """A tensor before it is filled, and where the generator begins."""

    shape: tuple[int, ...]
    layout: str
    seed: int

    def __repr__(self) -> str:
        return f"<a tensor in shape {self.shape}, {self.layout}, seed {self.seed}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis would print the fields."""
        printer.text(repr(self))

    @literal
    def tensor(self, target: Target) -> torch.Tensor:
        """Zeros, in a layout whose gaps are NaN."""
        zeros = torch.zeros(self.shape, dtype=target.torch_dtype, device=target.device)
        return LAYOUTS[self.layout](zeros)

    def filled(self, component: str, target: Target, fill: Fill, count: int = 1) -> torch.Tensor:
        """At least `count` numbers, (numbers,), of as many tensors as that takes, at most 64.

        Each must be filled in place, and returned, and nothing around it written to.
        """
        generator = torch.Generator(target.device).manual_seed(self.seed)
        found = []
        for _ in range(min(64, max(1, count // max(1, math.prod(self.shape))))):
            tensor = self.tensor(target)
            gaps = nan_in_memory(tensor)
            if (returned := fill(tensor, generator)) is not tensor:
                what, both = "are not in the tensor that was given", (returned, tensor)
                deviates(component, "numbers", target, what, both, "got[0] is got[1]")
            if (now := nan_in_memory(tensor)) != gaps:
                what, right = "of the tensor were written to", f"got == {int(gaps)}  # NaN"
                deviates(component, "surroundings", target, what, now, right)
            found.append(tensor.reshape(-1))
        return torch.cat(found)


def nan_in_memory(tensor: torch.Tensor) -> torch.Tensor:
    """How many NaN there are in all that a tensor is a view into."""
    return everything(tensor).isnan().sum()


@st.composite
def empties(draw: st.DrawFn, min_dims: int = 0, max_dims: int = 5) -> Empty:
    shape = draw(shapes(min_dims, max_dims, max_elements=2048))
    return Empty(shape, draw(layouts), draw(seeds))


def drawn_with(parameter: float, draw: Callable[[float], np.ndarray], target: Target) -> Rounded:
    """The numbers that are drawn with a parameter, which may be off by 4 roundings in float64.

    In narrower formats that hardly ever shows: then the numbers are exact. Else each of the three
    operations that make a number of the parameter may round to a neighbour.
    """
    numbers, fewer, more = (draw(parameter * by) for by in (1.0, 1 - 2.0**-51, 1 + 2.0**-51))
    error: np.ndarray | float = 0.0
    if not np.array_equal(fewer, more):
        error = np.full(numbers.shape, 4 * FORMATS[target.dtype].ulp(np.abs(numbers).max()))
    return Rounded(Rounding.kernel(target.dtype), numbers, error)
