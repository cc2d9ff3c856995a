"""What a new tensor is: its attributes, whose memory it has, and what it is filled with."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.claim import Claim, does_not_hold, holds, holds_with_care
from tests.claims.distribution import assert_distributed, normal, uniform
from tests.claims.wide import fewer
from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Targets

drawn_arrays = st.tuples(shapes(max_dims=3, max_elements=65), families).flatmap(
    lambda drawn: arrays(*drawn)
)
small = st.integers(-9, 9)
seeds = st.integers(0, 2**32 - 1)


@holds("T1", "a tensor has data, grad, grad_fn, requires_grad, is_leaf, dtype, shape, device")
@fewer
@given(array=drawn_arrays, requires_grad=st.booleans())
def test_a_tensor_has_eight_attributes(
    claim: Claim, targets: Targets, array: DrawnArray, requires_grad: bool
) -> None:
    for _, paths in targets.by_dtype("attributes"):
        for target in paths:
            leaf = array.tensor(target, requires_grad)
            result = leaf * 2
            for x, is_leaf in ((leaf, True), (result, not requires_grad)):
                assert (x.dtype, x.shape) == (target.torch_dtype, array.shape)
                assert x.device.type == torch.device(target.device).type
                assert (x.requires_grad, x.is_leaf) == (requires_grad, is_leaf)
                assert (x.grad_fn is None) == is_leaf
                assert x.data.data_ptr() == x.data_ptr()
                assert not x.data.requires_grad
            assert leaf.grad is None
            if requires_grad:
                result.sum().backward()
                assert leaf.grad is not None
                assert leaf.grad.shape == leaf.shape
    x = torch.ones(2, 3)
    shown = ("dtype", "device", "requires_grad", "is_leaf", "grad", "grad_fn")
    claim.shows("torch.ones(2, 3): " + ", ".join(f"{name} {getattr(x, name)}" for name in shown))


copies = holds_with_care(
    "T2",
    "torch.tensor copies, torch.Tensor(sizes) is uninitialised float32",
    "so it is; but torch.Tensor takes a list for values, and its dtype is the default one",
)


@copies
@fewer
@given(array=drawn_arrays)
def test_tensor_copies_and_from_numpy_shares(claim: Claim, array: DrawnArray) -> None:
    numbers = np.array(array.numbers("float64"))
    copied, shared = torch.tensor(numbers), torch.from_numpy(numbers)
    before = numbers.copy()
    numbers.fill(17)
    np.testing.assert_array_equal(copied.numpy(), before)
    np.testing.assert_array_equal(shared.numpy(), numbers)


@copies
def test_a_tensor_of_sizes_holds_whatever_was_there(claim: Claim) -> None:
    """Where torch fills memory that nobody has initialised, it fills this one."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        of_sizes, zeros = torch.Tensor(2, 3), torch.zeros(2, 3)
    finally:
        torch.use_deterministic_algorithms(before)
    assert of_sizes.isnan().all()
    assert (zeros == 0).all()
    assert (of_sizes.shape, of_sizes.dtype) == ((2, 3), torch.float32)
    assert torch.Tensor([2, 3]).tolist() == [2, 3]
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.Tensor(2, 3).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    sizes, numbers = tuple(torch.Tensor(2, 3).shape), torch.Tensor([2, 3]).tolist()
    claim.shows(f"torch.Tensor(2, 3) has the shape {sizes}; torch.Tensor([2, 3]) is {numbers}")


@does_not_hold(
    "T3",
    "torch.fill((3, 3), 2) and fill_like make constant tensors",
    "torch.full and torch.full_like do; torch.fill takes a tensor, and returns a filled copy",
)
@fewer
@given(shape=shapes(max_dims=3, max_elements=65), number=small)
def test_full_makes_constant_tensors(claim: Claim, shape: tuple[int, ...], number: int) -> None:
    with pytest.raises(TypeError, match="fill") as raised:
        torch.fill(shape, number)  # type: ignore[call-overload]
    assert not hasattr(torch, "fill_like")
    full = torch.full(shape, number)
    np.testing.assert_array_equal(full.numpy(), np.full(shape, number), strict=True)
    like = torch.full_like(full, 2 * number)
    np.testing.assert_array_equal(like.numpy(), np.full(shape, 2 * number), strict=True)
    assert torch.equal(torch.fill(full, 7), torch.full(shape, 7))
    assert torch.equal(full, torch.full(shape, number))
    twos = torch.full((3, 3), 2)
    made = f"{twos.numel()} times {int(twos.max())}, {twos.dtype}"
    claim.shows(f"torch.fill((3, 3), 2): {raised.typename}; torch.full((3, 3), 2): {made}")


makers = holds(
    "T4", "arange, linspace, logspace, eye, zeros, ones, normal, rand, randint, randperm", ""
)


@makers
@fewer
@given(start=small, steps=st.integers(2, 70), halvings=st.integers(0, 6))
def test_regular_tensors(claim: Claim, start: int, steps: int, halvings: int) -> None:
    """All numbers are multiples of a power of two, small enough that no dtype rounds them."""
    step = 0.5**halvings
    end = start + step * (steps - 1)
    numbers = start + step * np.arange(steps)
    for name in ("float64", "float32"):
        dtype = getattr(torch, name)
        ranged = torch.arange(start, end + step, step, dtype=dtype)
        between = torch.linspace(start, end, steps, dtype=dtype)  # both ends included
        np.testing.assert_array_equal(ranged.double().numpy(), numbers)
        np.testing.assert_array_equal(between.double().numpy(), numbers)
        for made, expected in (
            (torch.eye(steps, dtype=dtype), np.eye(steps)),
            (torch.zeros(steps, 2, dtype=dtype), np.zeros((steps, 2))),
            (torch.ones(steps, 2, dtype=dtype), np.ones((steps, 2))),
        ):
            np.testing.assert_array_equal(made.double().numpy(), expected, strict=True)
    assert torch.arange(start, start + steps).tolist() == list(range(start, start + steps))
    lists = torch.arange(0, 1, 0.25).tolist(), torch.linspace(0, 1, 5).tolist()
    claim.shows("arange(0, 1, 0.25): {}; linspace(0, 1, 5): {}".format(*lists))


@makers
@fewer
@given(base=st.integers(2, 10), first=st.integers(-6, 0), count=st.integers(2, 13))
def test_logspace_is_the_powers_of_its_base(
    claim: Claim, base: int, first: int, count: int
) -> None:
    """The exponents are whole, so exact; a faithful power is less than one ulp off."""
    last = first + count - 1
    for name in ("float64", "float32"):
        powers = torch.logspace(first, last, count, float(base), dtype=getattr(torch, name))
        for power, exponent in zip(powers.tolist(), range(first, last + 1), strict=True):
            exact = Fraction(base) ** exponent
            ulp = float(FORMATS[name].ulp(np.asarray(float(exact))))
            assert abs(Fraction(power) - exact) < ulp, f"{base}^{exponent} in {name}"


@makers
@fewer
@given(seed=seeds, count=st.integers(1, 300))
def test_random_tensors_stay_in_their_range(claim: Claim, seed: int, count: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for name in FORMATS:
        drawn = torch.rand(count, generator=random, dtype=getattr(torch, name))
        assert ((drawn >= 0) & (drawn < 1)).all(), f"rand in {name} left [0, 1): {drawn}"
    whole = torch.randint(-3, 5, (count,), generator=random)
    assert ((whole >= -3) & (whole < 5)).all()
    permuted = torch.randperm(count, generator=random)
    assert sorted(permuted.tolist()) == list(range(count))


@makers
def test_rand_and_normal_have_their_distributions(claim: Claim) -> None:
    random = torch.Generator().manual_seed(1)
    assert_distributed(torch.rand(20_000, generator=random).numpy(), uniform(0, 1))
    numbers = torch.normal(3.0, 2.0, (20_000,), generator=random).numpy()
    assert_distributed(numbers, normal(3, 2))
