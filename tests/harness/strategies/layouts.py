"""Memory layouts: the same numbers, lying differently.

Where a layout leaves gaps, the gaps hold NaN, or what is no class, so that a kernel which reads or
forgets one shows it.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from hypothesis import strategies as st


def gap(tensor: torch.Tensor) -> float | int:
    real = tensor.is_floating_point() or tensor.is_complex()
    return math.nan if real else torch.iinfo(tensor.dtype).min


def contiguous(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous()


def transposed(tensor: torch.Tensor) -> torch.Tensor:
    """The first dimension runs fastest in memory, the last slowest."""
    backwards = tuple(reversed(range(tensor.dim())))
    return tensor.permute(backwards).contiguous().permute(backwards)


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """Every second element of the last dimension of a larger tensor."""
    gaps = tensor.new_full((*tensor.shape, 2), gap(tensor))
    gaps[..., 1] = tensor
    return gaps[..., 1]


def padded(tensor: torch.Tensor) -> torch.Tensor:
    """The inside of a larger tensor: rows further apart than they are long, and an offset."""
    larger = [side + 2 for side in tensor.shape]
    gaps = tensor.new_full(larger, gap(tensor))
    inside = gaps[(slice(1, -1),) * tensor.dim()]
    inside.copy_(tensor)
    return inside


def expanded(tensor: torch.Tensor) -> torch.Tensor:
    """One row standing for all: stride 0 in the first dimension. See `rows_alike`."""
    return tensor[:1].contiguous().expand(tensor.shape) if tensor.dim() else tensor


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Images with their channels innermost; only four dimensions have such a layout."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def channels_last_3d(tensor: torch.Tensor) -> torch.Tensor:
    """The same of volumes, which have five dimensions."""
    return tensor.contiguous(memory_format=torch.channels_last_3d) if tensor.dim() == 5 else tensor


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    f.__name__: f
    for f in (
        contiguous,
        transposed,
        strided,
        padded,
        expanded,
        channels_last,
        channels_last_3d,
    )
}


def everything(tensor: torch.Tensor) -> torch.Tensor:
    """All the memory that a tensor is a view into."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.as_strided((size,), (1,), 0)


@cache
def layouts_for(dims: int, may_overlap: bool = True) -> tuple[str, ...]:
    """Contiguous, and those that differ from it in so many dimensions; most, those of images."""
    possible = {
        "transposed": dims >= 2,
        "padded": dims >= 1,
        "expanded": dims >= 1 and may_overlap,
        "channels_last": dims == 4,
        "channels_last_3d": dims == 5,
    }
    names = [name for name in LAYOUTS if possible.get(name, True)]
    return (*names, *2 * [name for name in names if "channels" in name])


@cache
def layouts_of(dims: int) -> st.SearchStrategy[str]:
    return st.sampled_from(layouts_for(dims))
