"""What people believe about gradient descent: one long vector, batches, and where it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import clip_grad_norm_, parameters_to_vector

from reference.linear import linear, linear_backward
from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer, wide
from tests.harness.border import to_numpy
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.optimizers.one_parameter import parameter, scalar


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
        np.testing.assert_array_equal(to_numpy(parameters_to_vector(params)), ends)
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
    truth, guess = torch.tensor([-0.5, -1.0, -3.0]), torch.tensor(0.0, requires_grad=True)
    of_rows = [torch.autograd.grad((guess - t) ** 2, guess)[0].item() for t in truth]
    (of_all,) = torch.autograd.grad(F.mse_loss(guess.expand(3), truth), guess)
    claim.shows(f"three rows with the gradients {of_rows}: of all three {of_all.item()}")


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
