"""What people believe about losses: what goes in, and the gradient that comes out."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.log_softmax import log_softmax
from reference.nll_loss import nll_loss
from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer, wide
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import check

pairs = st.tuples(st.integers(1, 9), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(*[arrays(shape, "uniform", "contiguous", special=False)] * 2)
)


@holds(
    "L4",
    "cross-entropy takes logits; it is NLL of log-softmax, -sum p log q;"
    " its gradient is (softmax - onehot) / N",
)
@fewer
@given(pair=pairs)
def test_cross_entropy_takes_logits(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    scores = pair[0]
    rows, classes = scores.shape
    labels = np.arange(rows) % classes
    onehot = np.eye(classes)[labels]
    for target, rounding in wide(targets):
        x = scores.tensor(target, requires_grad=True)
        t = torch.from_numpy(labels).to(target.device)
        p = torch.from_numpy(onehot).to(target.device, target.torch_dtype)
        log_q = log_softmax(rounding.array(scores.numbers(target.dtype)))
        expected = rounding.stored(nll_loss(log_q, labels))
        loss = F.cross_entropy(x, t)
        check("cross_entropy", "loss", target, loss, expected)
        check(
            "cross_entropy", "of log_softmax", target, F.nll_loss(F.log_softmax(x, 1), t), expected
        )
        as_sum = rounding.stored(-(rounding.array(onehot) * log_q).sum() / float(rows))
        check("cross_entropy", "-sum p log q", target, F.cross_entropy(x, p), as_sum)
        loss.backward()
        share = rounding.array(np.asarray(1.0)) / float(rows)  # torch multiplies by 1 / N
        grad = np.exp(log_q) * share - onehot * share
        check("cross_entropy", "(softmax - onehot) / N", target, x.grad, rounding.stored(grad))
    certain = torch.tensor([[10.0, 0.0]]), torch.tensor([0])
    right = F.cross_entropy(*certain).item()
    twice = F.cross_entropy(certain[0].softmax(1), certain[1]).item()
    claim.shows(f"logits (10, 0), class 0: {right:.1e}; given softmax instead: {twice:.3f}")


@holds(
    "L5", "MSE is the mean of squares, its gradient 2/n (y_hat - y); MAE the mean of |y_hat - y|"
)
@fewer
@given(pair=pairs)
def test_mse_is_the_mean_of_squares(
    claim: Claim, targets: Targets, pair: tuple[DrawnArray, DrawnArray]
) -> None:
    for target, rounding in wide(targets):
        x, t = pair[0].tensor(target, requires_grad=True), pair[1].tensor(target)
        tracked = [rounding.array(array.numbers(target.dtype)) for array in pair]
        residual, n = tracked[0] - tracked[1], float(x.numel())
        loss = F.mse_loss(x, t)
        check("mse_loss", "loss", target, loss, rounding.stored((residual * residual).sum() / n))
        loss.backward()
        check("mse_loss", "grad_input", target, x.grad, rounding.stored(2 / n * residual))
        absolute = np.where(residual <= 0, -residual, residual).sum() / n
        check("l1_loss", "loss", target, F.l1_loss(x, t), rounding.stored(absolute))
    prediction, truth = torch.tensor([2.5, 0.2, 1.8]), torch.tensor([3.0, 0.0, 2.0])
    mse, mae = F.mse_loss(prediction, truth).item(), F.l1_loss(prediction, truth).item()
    claim.shows(f"errors 0.5, 0.2, 0.2: MSE {mse:.3g}, MAE {mae:.3g}")
