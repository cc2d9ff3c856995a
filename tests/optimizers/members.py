"""The parameters of an optimizer: each of a history's, in each of a life's dtypes."""

from dataclasses import dataclass

import torch

from tests.harness.reproducer.pause import literal
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.targets import Target
from tests.optimizers.history import History
from tests.optimizers.known_faults import fused_kernels_misread


@dataclass
class Member:
    """One parameter in one dtype, and how it and its gradient lie in memory."""

    i: int  # which of the history's parameters
    target: Target
    began: str  # the dtype in which it began
    where: slice  # in the vector of all
    shape: tuple[int, ...]
    layout: str
    grad_layout: str
    is_complex: bool

    @literal
    def tensor(self, numbers: torch.Tensor, layout: str) -> torch.Tensor:
        """This member's share of the numbers of all parameters, in a layout."""
        piece = numbers[self.where].to(self.target.device, self.target.torch_dtype, copy=True)
        piece = piece.reshape(self.shape)
        return LAYOUTS[layout](torch.view_as_complex(piece) if self.is_complex else piece).detach()


def members_of(history: History, device: str, path: str, dtypes: list[str]) -> list[Member]:
    """Of each parameter one for each dtype, side by side.

    Half types and fused kernels know no complex numbers: there the pairs are just pairs.
    """
    members = []
    for i, (parameter, (where, shape)) in enumerate(
        zip(history.parameters, history.pieces, strict=True)
    ):
        layouts = parameter.layout, parameter.grad_layout
        if path == "fused":
            param, grad = (LAYOUTS[layout](torch.zeros(shape)) for layout in layouts)
            if fused_kernels_misread(param, grad):
                layouts = "contiguous", "contiguous"
        for dtype in dtypes:
            wide = dtype in {"float32", "float64"}
            is_complex = parameter.is_complex and wide and path != "fused"
            target = Target(device, dtype, path)
            members.append(Member(i, target, dtype, where, shape, *layouts, is_complex))
    return members
