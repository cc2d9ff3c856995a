"""What people believe about optimizers: what a step changes, what is kept, whose memory it is."""

from __future__ import annotations

import io
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, does_not_hold, holds
from tests.claims.wide import fewer, wide
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.optimizers.one_parameter import Factory, pairs, parameter, scalar

OPTIMIZERS: dict[str, Factory] = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.5, momentum=0.5),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
factories = st.sampled_from(tuple(OPTIMIZERS.values()))
dyadic = st.integers(-64, 64).map(lambda n: n / 16)


@holds("O4", "step() goes through param_groups, skips grad None, changes in place, keeps state")
@fewer
@given(
    groups=st.lists(
        st.tuples(
            st.sampled_from((0.5, 0.25, 1.0)),
            st.lists(st.tuples(dyadic, st.none() | dyadic), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_step_goes_through_its_groups(claim: Claim, groups: list[Any]) -> None:
    """SGD on few digits, so that nothing rounds: each group has its own lr."""
    made = [(lr, [scalar(value, grad) for value, grad in drawn]) for lr, drawn in groups]
    memory = [p.data_ptr() for _, params in made for p in params]
    torch.optim.SGD([{"params": params, "lr": lr} for lr, params in made]).step()
    assert [p.data_ptr() for _, params in made for p in params] == memory
    for (lr, params), (_, drawn) in zip(made, groups, strict=True):
        for p, (value, grad) in zip(params, drawn, strict=True):
            assert p.item() == value - lr * (grad or 0)
    adam = torch.optim.Adam([p for _, params in made for p in params])
    adam.step()
    for _, params in made:
        for p in params:
            state = adam.state.get(p, {})
            assert set(state) == (
                {"step", "exp_avg", "exp_avg_sq"} if p.grad is not None else set()
            )
    one, two = scalar(1.0, 1.0), scalar(2.0)
    torch.optim.SGD([one, two], lr=0.5).step()
    claim.shows(
        f"1 with gradient 1 and 2 with None, after a step of lr 0.5: {one.item()} and {two.item()}"
    )


@does_not_hold("O5", "step() clears the gradients", "step() leaves .grad as it was, bit for bit")
@fewer
@given(make=factories, pair=pairs)
def test_step_leaves_the_gradient_alone(
    claim: Claim, targets: Targets, make: Factory, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    for target, _ in wide(targets):
        p = parameter(pair[0], target, pair[1])
        grad = p.grad
        assert grad is not None
        before = grad.clone()
        make([p]).step()
        assert p.grad is grad
        assert torch.equal(grad, before)
    q = scalar(1.0, 0.25)
    torch.optim.SGD([q], lr=0.1).step()
    assert q.grad is not None
    claim.shows(f"gradient 0.25; after step() {q.grad.item()}")


@holds("O6", "zero_grad() sets .grad to None; with set_to_none=False it fills in zeros")
@fewer
@given(
    make=factories,
    grad=shapes(max_dims=2, max_elements=17).flatmap(lambda shape: arrays(shape, "wide")),
)
def test_zero_grad_forgets_or_fills(
    claim: Claim, targets: Targets, make: Factory, grad: DrawnArray
) -> None:
    """Whatever the gradient was, infinite or NaN; zeros go into the same memory; in each group."""
    for target, _ in wide(targets):
        params = [parameter(grad, target, grad) for _ in range(2)]
        optimizer = make([{"params": [p]} for p in params])
        before = [p.grad for p in params]
        optimizer.zero_grad(set_to_none=False)
        for p, old in zip(params, before, strict=True):
            assert p.grad is old is not None
            assert torch.equal(old, torch.zeros_like(p))
        optimizer.zero_grad()
        assert [p.grad for p in params] == [None, None]
    shown = []
    for set_to_none in (True, False):
        q = scalar(1.0, 3.0)
        torch.optim.SGD([q]).zero_grad(set_to_none)
        shown.append(q.grad if q.grad is None else q.grad.item())
    claim.shows("gradient 3: {}; with set_to_none=False {}".format(*shown))


@holds("O7", "the optimizer holds references to the parameters, not copies")
@fewer
@given(make=factories, pair=pairs)
def test_the_optimizer_holds_the_parameters_themselves(
    claim: Claim, targets: Targets, make: Factory, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    for target, _ in wide(targets):
        p = parameter(pair[0], target, pair[1])
        memory, optimizer = p.data_ptr(), make([p])
        assert optimizer.param_groups[0]["params"][0] is p
        optimizer.step()
        assert optimizer.param_groups[0]["params"][0] is p
        assert p.data_ptr() == memory
    q = scalar(1.0, 0.5)
    torch.optim.SGD([q], lr=0.5).step()
    claim.shows(f"q = 1 with gradient 0.5; after SGD([q], lr=0.5).step() q itself is {q.item()}")


@does_not_hold(
    "O8", "each parameter gets its own group", "one group holds all, unless groups are given"
)
@fewer
@given(make=factories, sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_one_group_holds_all_parameters(claim: Claim, make: Factory, sizes: list[int]) -> None:
    params = [scalar(0.0) for _ in range(sum(sizes))]
    (group,) = make(params).param_groups
    assert all(a is b for a, b in zip(group["params"], params, strict=True))
    rest = iter(params)
    given_groups = [{"params": [next(rest) for _ in range(size)]} for size in sizes]
    assert [len(group["params"]) for group in make(given_groups).param_groups] == sizes
    groups = torch.optim.SGD(nn.Linear(3, 2).parameters()).param_groups
    inside = [len(group["params"]) for group in groups]
    claim.shows(f"SGD(Linear(3, 2).parameters()): {len(groups)} group, of {inside[0]} parameters")


@holds("O9", "state_dict() and load_state_dict() restore the run, bit for bit")
@fewer
@given(
    make=factories,
    drawn=st.lists(arrays((3,), "uniform", "contiguous", special=False), min_size=3, max_size=5),
)
def test_a_restored_run_goes_on_bit_for_bit(
    claim: Claim, targets: Targets, make: Factory, drawn: list[DrawnArray]
) -> None:
    """Through a file, into a new optimizer of a copied parameter."""
    for target, _ in wide(targets):
        start, *grads = drawn
        p = parameter(start, target)
        optimizer = make([p])
        copied, restored = p, optimizer
        for number, grad in enumerate(grads):
            if number == 1:
                file = io.BytesIO()
                torch.save(optimizer.state_dict(), file)
                file.seek(0)
                copied = p.detach().clone().requires_grad_()
                restored = make([copied])
                restored.load_state_dict(torch.load(file, weights_only=True))
            for q, other in {id(p): (p, optimizer), id(copied): (copied, restored)}.values():
                q.grad = grad.tensor(target)
                other.step()
        assert torch.equal(p, copied)
        for name, value in optimizer.state[p].items():
            assert torch.equal(value, restored.state[copied][name])
