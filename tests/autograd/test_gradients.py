"""What `.grad` holds after backward(), and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear_backward
from tests.claims.claim import Claim, holds
from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Target, Targets

whole = st.integers(1, 4).flatmap(lambda n: arrays((n,), "integers", "contiguous", special=False))
"""Vectors of whole numbers: their squares and few sums of them are exact in every dtype."""
square = arrays((2, 2), "integers", "contiguous", special=False)


def first(targets: Targets) -> list[Target]:
    """For what is recorded and kept, the dtype makes no difference."""
    return [target for _, paths in list(targets.by_dtype("backward"))[:1] for target in paths]


def every(targets: Targets) -> list[Target]:
    return [target for _, paths in targets.by_dtype("backward") for target in paths]


@holds("G1", "backward() fills .grad of every leaf that took part; any other keeps None")
@given(array=whole, kinds=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=4))
def test_leaves_that_took_part_get_a_gradient(
    claim: Claim, targets: Targets, array: DrawnArray, kinds: list[tuple[bool, bool]]
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        loss, leaves = (x * x).sum(), [(x, True)]
        for requires_grad, takes_part in kinds:
            leaf = array.tensor(target, requires_grad)
            leaves.append((leaf, requires_grad and takes_part))
            loss = loss + (leaf * x.detach()).sum() if takes_part else loss
        loss.backward()
        assert [leaf.grad is not None for leaf, _ in leaves] == [wanted for _, wanted in leaves]
    a, b = (torch.tensor(3.0, requires_grad=True) for _ in "ab")
    (a * a).backward()
    claim.shows(f"a = b = 3, loss = a²: a.grad = {a.grad}, b.grad = {b.grad}")


@holds("G2", "gradients accumulate: k backward passes give k times the gradient, clearing one")
@given(array=whole, passes=st.integers(1, 4), clears=st.booleans())
def test_gradients_accumulate_until_they_are_cleared(
    claim: Claim, targets: Targets, array: DrawnArray, passes: int, clears: bool
) -> None:
    for target in every(targets):
        x = array.tensor(target, requires_grad=True)
        for _ in range(passes):
            if clears:
                x.grad = None
            (x * x).sum().backward()
        times = 1 if clears else passes
        assert x.grad is not None
        assert torch.equal(x.grad, times * 2 * x.detach())
    x = torch.tensor(3.0, requires_grad=True)
    grads = []
    for _ in range(3):
        (x * x).backward()
        grads.append(f"{x.grad}")
    claim.shows(f"x = 3, x² walked back three times: x.grad = {', '.join(grads)}")


@holds("G3", "a scalar starts at 1; y.backward(v) gives vᵀJ, and without v raises")
@given(x=square, w=square, v=square)
def test_backward_multiplies_a_vector_with_the_jacobian(
    claim: Claim, targets: Targets, x: DrawnArray, w: DrawnArray, v: DrawnArray
) -> None:
    for target in every(targets):
        leaves = [x.tensor(target, requires_grad=True) for _ in range(4)]
        by_v, by_ones, summed, seeded = leaves
        ys = [leaf @ w.tensor(target).T for leaf in leaves]
        ones = torch.ones_like(ys[0])
        ys[0].backward(v.tensor(target))
        ys[1].backward(ones)
        ys[2].sum().backward()
        ys[3].sum().backward(ones[0, 0])
        expected = linear_backward(*(array.numbers(target.dtype) for array in (v, x, w)))[0]
        assert by_v.grad is not None
        assert by_ones.grad is not None
        assert np.array_equal(by_v.grad.double().cpu().numpy(), expected)
        for leaf in (summed, seeded):
            assert leaf.grad is not None
            assert torch.equal(leaf.grad, by_ones.grad)
    leaf = torch.ones(2, requires_grad=True)
    (2 * leaf).backward(torch.tensor([1.0, 10.0]))
    assert leaf.grad is not None
    claim.shows(f"y = 2x, v = [1, 10]: x.grad = {leaf.grad.tolist()}")
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        (2 * leaf).backward()


@holds("G10", "intermediate tensors keep no .grad, unless retain_grad() was called")
@given(array=whole, retained=st.booleans())
def test_only_retained_intermediates_have_a_gradient(
    claim: Claim, targets: Targets, array: DrawnArray, retained: bool
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = 2 * x
        if retained:
            y.retain_grad()
        y.backward(y.detach())
        assert y.retains_grad == retained
        if retained:
            assert y.grad is not None
            assert torch.equal(y.grad, 2 * x.detach())
        else:
            with pytest.warns(UserWarning, match="not a leaf"):
                assert y.grad is None
        assert x.grad is not None
        assert torch.equal(x.grad, 4 * x.detach())
    x = torch.tensor(3.0, requires_grad=True)
    y = 2 * x
    y.retain_grad()
    y.backward()
    assert y.grad == 1
    assert x.grad == 2
    claim.shows(f"x = 3, y = 2x: y.grad = {y.grad} when retained, x.grad = {x.grad}")


@holds("G11", "only tensors that require grad are tracked")
@given(array=whole, others=st.lists(st.booleans(), min_size=1, max_size=3))
def test_factors_that_need_no_gradient_are_constants(
    claim: Claim, targets: Targets, array: DrawnArray, others: list[bool]
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        factors = [torch.full_like(x, 2.0).requires_grad_(needed) for needed in others]
        z = x * 4
        for factor in factors:
            z = z * factor
        z.sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, torch.full_like(x, 4.0 * 2 ** len(factors)))
        assert [factor.grad is not None for factor in factors] == others
    x, y = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0)
    (x * y * 4).backward()
    assert x.grad == 8
    assert y.grad is None
    claim.shows(f"z = 4xy at x = 3, y = 2: x.grad = {x.grad}, y.grad = {y.grad}")


@holds("G12", "detach() makes a constant of a value, and shares its memory")
@given(array=whole)
def test_no_gradient_passes_through_detach(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    for target in first(targets):
        x = array.tensor(target, requires_grad=True)
        y = x * x
        u = y.detach()
        (u * x).sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, u)  # and not 3 x²
        assert u.is_leaf
        assert not u.requires_grad
        assert u.data_ptr() == y.data_ptr()
        u.zero_()
        assert not y.any()
    x, whole_way = (torch.tensor(3.0, requires_grad=True) for _ in range(2))
    ((x * x).detach() * x).backward()
    (whole_way * whole_way * whole_way).backward()
    claim.shows(f"x = 3: of x² detached, times x: {x.grad}; without detach {whole_way.grad}")


@holds("G14", "gradients flow through Python's control flow")
@given(array=whole)
def test_a_loop_and_a_branch_are_differentiated_as_they_ran(
    claim: Claim, targets: Targets, array: DrawnArray
) -> None:
    def f(a: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The notes' function, and by how much it has multiplied."""
        b, times = a * 2, 2
        while b.norm() < 1000:
            b, times = b * 2, times * 2
        return (b, times) if b.sum() > 0 else (100 * b, 100 * times)

    for target in every(targets):
        a = array.tensor(target, requires_grad=True)
        if a.any():  # else it would double forever
            b, times = f(a)
            b.sum().backward()
            assert a.grad is not None
            # Each factor is exact. Their product may be more than a float16 can be.
            exact = torch.full(a.shape, float(times), dtype=torch.float64)
            assert torch.equal(a.grad.cpu(), exact.to(target.torch_dtype))
    a = torch.tensor([3.0, -4.0], requires_grad=True)
    b, times = f(a)
    b.sum().backward()
    assert a.grad is not None
    assert torch.equal(a.grad, b.detach() / a.detach())
    claim.shows(f"a = (3, -4): f(a) = {times} a, a.grad = f(a) / a = ({times}, {times})")


@holds("G15", ".grad has its tensor's shape and dtype; entry (i, j) is a partial derivative")
@given(x=square, w=square)
def test_an_entry_of_grad_is_a_partial_derivative(
    claim: Claim, targets: Targets, x: DrawnArray, w: DrawnArray
) -> None:
    for target in every(targets):
        leaf = x.tensor(target, requires_grad=True)
        leaf.square().sum().backward()
        assert leaf.grad is not None
        assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)

    numbers, weight = x.numbers("float64"), w.numbers("float64")

    def f(at: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(at) @ torch.from_numpy(weight)).square().sum()

    leaf = torch.from_numpy(numbers.copy()).requires_grad_()
    (leaf @ torch.from_numpy(weight)).square().sum().backward()
    assert leaf.grad is not None
    h = 2.0**-6
    for index in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[index] = h
        # Of a quadratic function, at such numbers, the central difference is exact.
        assert leaf.grad[index] == (f(numbers + step) - f(numbers - step)) / (2 * h)
    leaf = torch.tensor(3.0, requires_grad=True)
    leaf.square().backward()
    difference = ((3 + h) ** 2 - (3 - h) ** 2) / (2 * h)
    claim.shows(f"x² at 3: x.grad = {leaf.grad}, (f(x + h) - f(x - h)) / 2h = {difference}")


@given(x=square, w=square, seeds=st.tuples(square, square))
def test_a_walk_from_two_roots_is_two_walks_and_twice_the_seed_twice_the_gradient(
    targets: Targets, x: DrawnArray, w: DrawnArray, seeds: tuple[DrawnArray, DrawnArray]
) -> None:
    for target in every(targets):
        if FORMATS[target.dtype].precision < 24:
            continue  # the numbers would not stay exact
        v, u = (seed.tensor(target) for seed in seeds)

        def gradient(*walks: dict[int, torch.Tensor], target: Target = target) -> torch.Tensor:
            leaf = x.tensor(target, requires_grad=True)
            y = leaf @ w.tensor(target)
            roots = [y, torch.relu(y) * leaf]
            for walk in walks:
                torch.autograd.backward(
                    [roots[i] for i in walk], list(walk.values()), retain_graph=True
                )
            assert leaf.grad is not None
            return leaf.grad

        together = gradient({0: v, 1: u})
        assert torch.equal(together, gradient({0: v}, {1: u}))
        assert torch.equal(2 * together, gradient({1: 2 * u, 0: 2 * v}))
