"""What `.grad` holds after backward()."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear_backward
from tests.autograd.exact import every, first, square, whole
from tests.claims.claim import Claim, holds
from tests.harness.border import to_numpy
from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.targets import Target, Targets
from tests.harness.verdict import deviates


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
        assert np.array_equal(to_numpy(by_v.grad), expected)
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


@given(array=whole)
def test_leaves_do_not_share_the_memory_of_their_gradients(
    targets: Targets, array: DrawnArray
) -> None:
    for target in every(targets):
        a, b = (array.tensor(target, requires_grad=True) for _ in "ab")
        v = array.tensor(target)
        (a + b).backward(v)
        assert a.grad is not None
        assert b.grad is not None
        a.grad.fill_(99.0)
        if not torch.equal(b.grad, v):
            what = f"is {b.grad}, written to through that of a + b"
            deviates("graph", "gradient", target, what, (b.grad, v), "torch.equal(*got)")


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
