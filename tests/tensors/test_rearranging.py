"""Joining, reshaping and multiplying tensors: NumPy's semantics, and whose memory it is."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer
from tests.harness.border import to_numpy
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets


@st.composite
def alike(draw: st.DrawFn) -> list[DrawnArray]:
    """One to three arrays of one shape."""
    shape = draw(shapes(min_dims=1, max_dims=3, max_elements=65))
    return draw(st.lists(arrays(shape, "uniform"), min_size=1, max_size=3))


@holds("T5", "stack adds a dimension, cat does not; dim counts brackets from the outside")
@fewer
@given(drawn=alike(), dim=st.integers(0, 3))
def test_stack_and_cat_join_as_in_numpy(
    claim: Claim, targets: Targets, drawn: list[DrawnArray], dim: int
) -> None:
    ndim = len(drawn[0].shape)
    for dtype, paths in targets.by_dtype("joined"):
        numbers = [array.numbers(dtype) for array in drawn]
        for target in paths:
            tensors = [array.tensor(target) for array in drawn]
            stacked = torch.stack(tensors, dim % (ndim + 1))
            assert same(stacked, np.stack(numbers, dim % (ndim + 1)))
            joined = torch.cat(tensors, dim % ndim)
            assert same(joined, np.concatenate(numbers, dim % ndim))
            assert (stacked.dim(), joined.dim()) == (ndim + 1, ndim)
    two = torch.zeros(2, 3), torch.zeros(2, 3)
    claim.shows(
        f"two 2 × 3: stack {list(torch.stack(two).shape)}, cat {list(torch.cat(two).shape)}"
    )


def same(tensor: torch.Tensor, numbers: np.ndarray) -> bool:
    """Every bit that NumPy has, NaN included."""
    return np.array_equal(to_numpy(tensor), numbers, equal_nan=True)


@holds("T6", "reshape of a contiguous tensor, transpose, squeeze and unsqueeze are views")
@fewer
@given(
    array=shapes(min_dims=1, max_dims=4, max_elements=65).flatmap(lambda s: arrays(s, "uniform")),
    first=st.integers(0, 3),
    second=st.integers(0, 3),
)
def test_views_share_memory_and_have_numpys_semantics(
    claim: Claim, targets: Targets, array: DrawnArray, first: int, second: int
) -> None:
    numbers = array.numbers("float64")
    first, second = first % numbers.ndim, second % numbers.ndim
    for device in targets.devices:
        x = torch.from_numpy(numbers.copy()).to(device)
        lying = x.transpose(first, second)
        once = tuple(i for i, side in enumerate(numbers.shape) if side == 1)
        pairs = [
            (x.reshape(-1), numbers.reshape(-1)),
            (lying, np.swapaxes(numbers, first, second)),
            (x.squeeze(), np.squeeze(numbers, once)),
            (x.unsqueeze(first), np.expand_dims(numbers, first)),
        ]
        for view, expected in pairs:
            assert same(view, expected)
            assert view.data_ptr() == x.data_ptr()
        assert same(lying.reshape(-1), np.swapaxes(numbers, first, second).reshape(-1))
        if not lying.is_contiguous() and x.numel():  # what does not lie so must be copied
            assert lying.reshape(-1).data_ptr() != x.data_ptr()
    zeros = torch.zeros(4)
    zeros.reshape(2, 2)[1, 0] = 7
    claim.shows(f"x = zeros(4); x.reshape(2, 2)[1, 0] = 7; x is {zeros.tolist()}")


@holds(
    "T7",
    "matmul broadcasts: (B, d) times (B, d, K) gives (B, B, K)",
    "it pairs every row with every batch entry; bmm and einsum pair each with its own: (B, K)",
)
@fewer
@given(sizes=st.tuples(*[st.integers(1, 4)] * 3), data=st.data())
def test_matmul_pairs_all_and_bmm_pairs_each(
    claim: Claim, targets: Targets, sizes: tuple[int, int, int], data: st.DataObject
) -> None:
    """Small integers, whose products and sums no dtype rounds."""
    batch, inner, outer = sizes
    rows = data.draw(arrays((batch, inner), "integers", special=False))
    matrices = data.draw(arrays((batch, inner, outer), "integers", special=False))
    for dtype, paths in targets.by_dtype("multiplied"):
        a, b = rows.numbers(dtype), matrices.numbers(dtype)
        all_pairs, own = np.matmul(a, b), np.einsum("bd,bdk->bk", a, b)
        for target in paths:
            x, w = rows.tensor(target), matrices.tensor(target)
            assert same(x @ w, all_pairs)
            assert (x @ w).shape == (batch, batch, outer)
            assert same(torch.bmm(x[:, None], w)[:, 0], own)
            assert same(torch.einsum("bd,bdk->bk", x, w), own)
    one, other = torch.zeros(2, 3), torch.zeros(2, 3, 4)
    made = one @ other, torch.einsum("bd,bdk->bk", one, other)
    matmul, einsum = (tuple(x.shape) for x in made)
    claim.shows(f"(2, 3) times (2, 3, 4): matmul {matmul}, einsum {einsum}")
