"""What people believe about optimizers: which formula, which state, whose memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.linear import linear, linear_backward
from reference.sgd import sgd_step
from tests.claims.claim import Claim, does_not_hold, holds, holds_with_care
from tests.claims.wide import fewer, wide
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

Factory = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, Factory] = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.5, momentum=0.5),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
factories = st.sampled_from(tuple(OPTIMIZERS.values()))

dyadic = st.integers(-64, 64).map(lambda n: n / 16)
vectors = shapes(max_dims=2, max_elements=17).flatmap(lambda shape: arrays(shape, "dyadic"))
pairs = shapes(max_dims=2, max_elements=17).flatmap(
    lambda shape: st.tuples(*[arrays(shape, "uniform", "contiguous", special=False)] * 2)
)


def parameter(array: DrawnArray, target: Target, grad: DrawnArray | None = None) -> torch.Tensor:
    p = array.tensor(target).requires_grad_()
    p.grad = None if grad is None else grad.tensor(target)
    return p


def scalar(value: float, grad: float | None = None) -> torch.Tensor:
    p = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    p.grad = None if grad is None else torch.tensor(grad, dtype=torch.float64)
    return p


def stepped(optimizer: Factory, value: float, grad: float, **options: Any) -> float:
    """One number after one step."""
    p = scalar(value, grad)
    optimizer([p], **options).step()
    return p.item()


@holds("O1", "SGD: p <- p - lr g")
@fewer
@given(pair=pairs, lr=st.sampled_from((0.01, 0.5, 1.0)))
def test_sgd_goes_along_the_gradient(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray], lr: float
) -> None:
    for target, rounding in wide(targets, "for-loop"):
        numbers = (rounding.array(array.numbers(target.dtype)) for array in pair)
        expected, _ = sgd_step(*numbers, lr=lr)
        p = parameter(pair[0], target, pair[1])
        torch.optim.SGD([p], lr=lr).step()
        check("sgd", "param", target, p, rounding.stored(expected))
    weight = stepped(torch.optim.SGD, 1.5, -0.8, lr=0.01)
    bias = stepped(torch.optim.SGD, 0.5, -0.3, lr=0.01)
    # Three roundings, of lr, of the product and of the sum, of numbers below 2.
    assert abs(weight - 1.508) <= 3 * 2.0**-53
    assert abs(bias - 0.503) <= 3 * 2.0**-53
    claim.shows(f"1.5 - 0.01 (-0.8) = {weight:.4g}; 0.5 - 0.01 (-0.3) = {bias:.4g}")


@holds_with_care(
    "O2",
    "Adam: p <- p - lr m / (sqrt(v) + eps), m and v moving averages",
    "of m and v corrected for their start at 0, m / (1 - beta1^t) and v / (1 - beta2^t)",
)
@fewer
@given(pair=pairs)
def test_adam_corrects_the_start_of_its_averages(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    for target, rounding in wide(targets, "for-loop"):
        param, grad = (rounding.array(array.numbers(target.dtype)) for array in pair)
        zeros = np.zeros(pair[0].shape)
        expected, *_ = adam_step(param, grad, zeros, zeros, 1)
        p = parameter(pair[0], target, pair[1])
        torch.optim.Adam([p]).step()
        check("adam", "param", target, p, rounding.stored(expected))
    first = -stepped(torch.optim.Adam, 0.0, 2.0)
    m, v = 0.1 * 2.0, 0.001 * 2.0**2
    uncorrected = 0.001 * m / (v**0.5 + 1e-8)
    assert uncorrected > 3 * first
    claim.shows(f"first step with lr 0.001: {first:.3g}; without the corrections {uncorrected:.3g}")


@holds(
    "O3",
    "AdamW: p <- p - lr wd p, apart from the gradient; then Adam",
    "while weight_decay of Adam is added to the gradient, and so goes through m and v",
)
@fewer
@given(pair=pairs, decay=st.sampled_from((0.1, 0.5)))
def test_adamw_decays_apart_from_the_gradient(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray], decay: float
) -> None:
    both = ((torch.optim.Adam, adam_step, "adam"), (torch.optim.AdamW, adamw_step, "adamw"))
    for target, rounding in wide(targets, "for-loop"):
        param, grad = (rounding.array(array.numbers(target.dtype)) for array in pair)
        zeros = np.zeros(pair[0].shape)
        for optimizer, step, name in both:
            p = parameter(pair[0], target, pair[1])
            optimizer([p], lr=0.01, weight_decay=decay).step()
            expected, *_ = step(param, grad, zeros, zeros, 1, lr=0.01, weight_decay=decay)
            check(name, "param", target, p, rounding.stored(expected))
    decoupled, coupled = (
        stepped(optimizer, 1.0, 0.0, lr=0.01, weight_decay=0.1) for optimizer, *_ in both[::-1]
    )
    assert decoupled > coupled + 0.005
    claim.shows(f"p = 1, no gradient, lr 0.01, wd 0.1: AdamW {decoupled:.4g}, Adam {coupled:.4g}")


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
    claim.shows(f"gradient 0.25, after step() {q.grad}".replace(", dtype=torch.float64", ""))


@holds("O6", "zero_grad() sets .grad to None; with set_to_none=False it fills in zeros")
@fewer
@given(
    make=factories,
    grad=shapes(max_dims=2, max_elements=17).flatmap(lambda shape: arrays(shape, "wide")),
)
def test_zero_grad_forgets_or_fills(
    claim: Claim, targets: Targets, make: Factory, grad: DrawnArray
) -> None:
    """Whatever the gradient was, infinite or NaN; zeros go into the same memory."""
    for target, _ in wide(targets):
        p = parameter(grad, target, grad)
        optimizer, before = make([p]), p.grad
        assert before is not None
        optimizer.zero_grad(set_to_none=False)
        assert p.grad is before
        assert torch.equal(before, torch.zeros_like(p))
        optimizer.zero_grad()
        assert p.grad is None


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
    claim.shows(f"SGD(Linear(3, 2).parameters()): {len(groups)} group of 2 parameters")


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


@holds("O10", "the gradient is one long vector: its norm is that of all gradients end to end")
@fewer
@given(
    drawn=st.lists(
        shapes(max_dims=2, max_elements=17).flatmap(
            lambda shape: arrays(shape, "uniform", "contiguous", special=False)
        ),
        min_size=1,
        max_size=3,
    )
)
def test_the_total_norm_is_that_of_one_vector(
    claim: Claim, targets: Targets, drawn: list[DrawnArray]
) -> None:
    """torch takes the norm of the parameters' norms, which rounds more often."""
    for target, rounding in wide(targets):
        params = [parameter(array, target, array) for array in drawn]
        numbers = [array.numbers(target.dtype) for array in drawn]
        ends = np.concatenate([piece.reshape(-1) for piece in numbers])
        np.testing.assert_array_equal(parameters_to_vector(params).detach().cpu().numpy(), ends)
        norms = [np.sqrt((g * g).sum()) for g in (rounding.array(piece) for piece in numbers)]
        expected = rounding.stored(np.sqrt(sum(norm * norm for norm in norms)))
        total = clip_grad_norm_(params, float("inf"))
        check("clip_grad_norm", "total norm", target, total, expected)
        of_one, nothing = np.sqrt((ends * ends).sum()), 1e-12 * np.abs(ends).max(initial=0)
        # Both are float64's; fewer than 100 roundings are far below twelve digits.
        assert abs(expected.value - of_one) <= nothing
    p, q = scalar(0.0, 3.0), scalar(0.0, 4.0)
    claim.shows(f"gradients 3 and 4: norm {clip_grad_norm_([p, q], 9.0).item():g}")


@st.composite
def regressions(draw: st.DrawFn) -> tuple[list[DrawnArray], int]:
    """Rows, weight, bias, what is to be predicted; and how many rows are taken at a time."""
    rows, inputs, outputs = (
        draw(st.integers(1, 6)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 3)),
    )
    family = draw(st.sampled_from(("integers", "uniform")))
    of = [(rows, inputs), (outputs, inputs), (outputs,), (rows, outputs)]
    drawn = [draw(arrays(shape, family, "contiguous", special=False)) for shape in of]
    return drawn, draw(st.integers(1, rows))


@holds(
    "O11",
    "a batch's gradient is the average of its rows' gradients; micro-batches add up to it",
    "if each part's mean loss is scaled by its share of the rows; to within rounding",
)
@fewer
@given(case=regressions())
def test_micro_batches_add_up_to_the_batch(
    claim: Claim, targets: Targets, case: tuple[list[DrawnArray], int]
) -> None:
    """One at a time, that is the average of the rows' gradients."""
    drawn, size = case
    rows = drawn[0].shape[0]
    for target, rounding in wide(targets):
        batch = nn.Linear(1, 1)
        for name, take in (("micro-batches", size), ("one batch", rows)):
            expected: Any = (0.0, 0.0)
            x, w, b, t = (array.tensor(target) for array in drawn)
            batch.weight, batch.bias = nn.Parameter(w), nn.Parameter(b)
            tracked = [rounding.array(array.numbers(target.dtype)) for array in drawn]
            for start in range(0, rows, take):
                part = slice(start, start + take)
                share = len(x[part]) / rows
                (F.mse_loss(batch(x[part]), t[part]) * share).backward()
                residual = linear(tracked[0][part], *tracked[1:3]) - tracked[3][part]
                scale = rounding.array(np.asarray(1.0)) * share
                grad = residual * (2 / t[part].numel()) * scale
                grads = linear_backward(grad, tracked[0][part], tracked[1])[1:]
                expected = tuple(e + g for e, g in zip(expected, grads, strict=True))
            check(name, "grad_weight", target, batch.weight.grad, rounding.stored(expected[0]))
            check(name, "grad_bias", target, batch.bias.grad, rounding.stored(expected[1]))


@holds("O12", "Linear(1, 1) learns y = 2x + 1 with MSE and SGD, lr 0.01, in about 1000 epochs")
def test_a_line_is_learnt_along_its_closed_form(claim: Claim) -> None:
    """The gradient is A p - c, so p_t = p* + (1 - lr A)^t (p_0 - p*)."""
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.float64)
    model = nn.Linear(1, 1, dtype=torch.float64)
    with torch.no_grad():
        model.weight.fill_(0)
        model.bias.fill_(0)
    optimizer, epochs = torch.optim.SGD(model.parameters(), lr=0.01), 1000
    for _ in range(epochs):
        optimizer.zero_grad()
        F.mse_loss(model(x), 2 * x + 1).backward()
        optimizer.step()
    rows = np.hstack([x.numpy(), np.ones((4, 1))])
    contraction = np.eye(2) - 0.01 * 2 / 4 * rows.T @ rows
    solution = np.array([2.0, 1.0])
    expected = solution + np.linalg.matrix_power(contraction, epochs) @ (0 - solution)
    learnt = np.array([model.weight.item(), model.bias.item()])
    # Each epoch does fewer than 40 roundings of numbers below 100 (residuals, sums of four
    # products), scaled by lr; the recurrence contracts, so they add up at most.
    rounding = epochs * 0.01 * 40 * 100 * 2.0**-53
    assert np.abs(learnt - expected).max() <= rounding
    assert np.abs(learnt - solution).max() < 0.1
    claim.shows(f"after {epochs} epochs from 0: weight {learnt[0]:.3f}, bias {learnt[1]:.3f}")


@holds_with_care(
    "O13",
    "Adam adapts to each parameter, so the scale of the gradient does not matter",
    "exactly so for eps = 0; else not for gradients as small as eps",
)
@fewer
@given(
    drawn=st.lists(arrays((3,), "uniform", "contiguous", special=False), min_size=2, max_size=4),
    power=st.integers(-20, 20),
)
def test_adam_without_eps_ignores_the_scale(
    claim: Claim, targets: Targets, drawn: list[DrawnArray], power: int
) -> None:
    """A power of two scales without rounding: the paths are equal bit for bit."""
    for target, _ in wide(targets):
        start, *grads = drawn
        paths = []
        for scale in (1.0, 2.0**power):
            p = parameter(start, target)
            optimizer = torch.optim.Adam([p], lr=0.125, eps=0.0)
            for grad in grads:
                p.grad = grad.tensor(target) * scale
                optimizer.step()
            paths.append(p.detach())
        np.testing.assert_array_equal(paths[0].cpu().numpy(), paths[1].cpu().numpy())
    usual, tiny = (-stepped(torch.optim.Adam, 0.0, grad, lr=0.1) for grad in (1.0, 1e-8))
    assert tiny < 0.6 * usual
    claim.shows(f"lr 0.1, first step: gradient 1 moves {usual:.3g}, gradient 1e-8 {tiny:.3g}")
