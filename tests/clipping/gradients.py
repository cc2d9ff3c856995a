"""Parameters with gradients to be clipped: several dtypes, layouts, missing and empty ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st

from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import everything
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import block
from tests.harness.targets import Target
from tests.harness.verdict import deviates

FOREACH = {"for-loop": False, "foreach": True, "default": None}
"""The paths, and the flag that chooses each."""

DTYPES = (None, None, *FORMATS)
CONTAINERS: dict[str, Callable[[list[torch.Tensor]], Any]] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda params: (p for p in params),
    "tensor": lambda params: params[0],
}
OFTEN_OF_SEVERAL = ("list", "tuple", "generator", "list", "tensor", "tuple", "generator")


@dataclass(frozen=True)
class Gradients:
    """The gradient of each parameter, or None, and its dtype where that is not the target's."""

    arrays: tuple[DrawnArray | None, ...]
    dtypes: tuple[str | None, ...]
    container: str

    def dtype(self, i: int, dtype: str) -> str:
        return self.dtypes[i] or dtype

    @property
    def present(self) -> list[int]:
        return [i for i, array in enumerate(self.arrays) if array is not None]

    def rounded(self, dtype: str) -> list[Any]:
        """For the reference: those that are there, in their formats."""
        return [
            Rounding.kernel(own).array(array.numbers(own))
            for array, own in self.with_dtypes(dtype)
            if array is not None
        ]

    def with_dtypes(self, dtype: str) -> Iterator[tuple[DrawnArray | None, str]]:
        return ((array, self.dtype(i, dtype)) for i, array in enumerate(self.arrays))

    def parameters(self, target: Target) -> list[torch.Tensor]:
        found = []
        for array, own in self.with_dtypes(target.dtype):
            shape = () if array is None else array.shape
            dtype = getattr(torch, own)
            p = torch.ones(shape, dtype=dtype, device=target.device, requires_grad=True)
            if array is not None:
                p.grad = array.tensor(Target(target.device, own, target.path))
            found.append(p)
        return found

    def given(self, parameters: list[torch.Tensor]) -> Any:
        """In the container that was drawn."""
        return CONTAINERS[self.container](parameters)


@st.composite
def gradients(
    draw: st.DrawFn, families: st.SearchStrategy[str], special: float = 1 / 8
) -> Gradients:
    """Their elements share no memory: what does is refused."""
    family, count = draw(families), draw(st.sampled_from((2, 1, 3, 2, 3, 0)))
    # The rest is decided by dice, each a byte: draws are what a case costs.
    dice = draw(block(5))
    container = OFTEN_OF_SEVERAL[dice[0] % len(OFTEN_OF_SEVERAL)]
    if container == "tensor" or (container == "generator" and count == 0):
        count = 1  # torch warns of a generator of nothing
    other = DTYPES[dice[1] % len(DTYPES)]
    drawn: list[DrawnArray | None] = []
    for die in dice[2 : 2 + count]:
        shape = (0,) if die % 16 == 14 else draw(shapes(max_dims=5, max_elements=257))
        array = arrays(shape, family, None, special, may_overlap=False)
        drawn.append(None if die % 16 == 15 else draw(array))
    dtypes = tuple(other if die >= 128 else None for die in dice[2 : 2 + count])
    return Gradients(tuple(drawn), dtypes, container)


class Untouched:
    """Whatever is not an element of the gradients, remembered, to be found unchanged."""

    def __init__(self, parameters: list[torch.Tensor]) -> None:
        self.parameters = parameters
        self.grads = [p.grad for p in parameters]
        self.present = [grad for grad in self.grads if grad is not None]
        self.now = [memory(grad) for grad in self.present]
        self.before = [bytes.clone() for bytes in self.now]

    def as_before(self) -> bool:
        """Whether every byte is what it was."""
        return all(map(torch.equal, self.now, self.before))

    def check(self, component: str, target: Target) -> None:
        """Raise where something else was written, or a gradient replaced."""
        for p, grad in zip(self.parameters, self.grads, strict=True):
            if p.grad is not grad:
                what, same = "is another tensor than before", "got[0].grad is got[1]"
                deviates(component, "grad", target, what, (p, grad), same)
            if not torch.equal(p, torch.ones_like(p)):
                deviates(component, "param", target, "was written to", p, "got.eq(1).all()")
        for grad, now, before in zip(self.present, self.now, self.before, strict=True):
            if grad.nbytes == now.nbytes:
                continue  # nothing lies around it
            numbers = before.view(grad.dtype).as_strided(
                grad.shape, grad.stride(), grad.storage_offset()
            )
            grad.copy_(numbers)
            if not torch.equal(now, before):
                what = "of a gradient in memory were written to"
                deviates(
                    component, "surroundings", target, what, (now, before), "torch.equal(*got)"
                )


def memory(tensor: torch.Tensor) -> torch.Tensor:
    """All the bytes that a tensor is a view into."""
    return everything(tensor).view(torch.uint8)
