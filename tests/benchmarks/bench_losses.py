"""The losses, on as many rows as classes."""

from functools import partial

import numpy as np
import torch.nn.functional as F

from reference.cross_entropy import cross_entropy, cross_entropy_backward
from reference.l1_loss import l1_loss, l1_loss_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.mse_loss import mse_loss, mse_loss_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.soft_loss import soft_loss_backward
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import Pair, numbers, pairs
from tests.harness.targets import Targets


def labelled(n: int) -> tuple[np.ndarray, np.ndarray]:
    return numbers(n, n), np.random.default_rng(n).integers(0, n, n)


def regression(n: int) -> tuple[np.ndarray, np.ndarray]:
    return numbers(n, n), numbers(n, n) + 1


def probabilities(n: int) -> tuple[np.ndarray, np.ndarray]:
    return numbers(n, n), np.exp(log_softmax(numbers(n, n) + 1))


LOSSES = {
    "log_softmax": Pair(
        lambda n: (numbers(n, n),),
        lambda x: F.log_softmax(x, -1),
        log_softmax,
        lambda grad, y, x: log_softmax_backward(grad, y),
    ),
    "nll_loss": Pair(
        labelled,
        F.nll_loss,
        nll_loss,
        lambda grad, y, x, target: nll_loss_backward(grad, x, target),
    ),
    # Its gradient needs the log-probabilities, which torch has kept and the reference works out.
    "cross_entropy": Pair(
        labelled,
        F.cross_entropy,
        cross_entropy,
        lambda grad, y, x, target: cross_entropy_backward(grad, log_softmax(x), target),
    ),
    "cross_entropy smoothed": Pair(
        labelled,
        partial(F.cross_entropy, label_smoothing=0.1),
        partial(cross_entropy, label_smoothing=0.1),
        lambda grad, y, x, target: cross_entropy_backward(
            grad, log_softmax(x), target, label_smoothing=0.1
        ),
    ),
    # torch also has the gradient of the probabilities, as `soft_loss_backward` does.
    "cross_entropy soft": Pair(
        probabilities,
        F.cross_entropy,
        cross_entropy,
        lambda grad, y, x, target: (
            cross_entropy_backward(grad, log_softmax(x), target),
            soft_loss_backward(grad, log_softmax(x), target)[1],
        ),
    ),
    "mse_loss": Pair(
        regression,
        F.mse_loss,
        mse_loss,
        lambda grad, y, x, target: mse_loss_backward(grad, x, target),
    ),
    "l1_loss": Pair(
        regression,
        F.l1_loss,
        l1_loss,
        lambda grad, y, x, target: l1_loss_backward(grad, x, target),
    ),
}


@pairs(LOSSES)
def test_losses(
    timed: Timed, targets: Targets, name: str, direction: str, size: int, side: str
) -> None:
    function = LOSSES[name].timed(side, direction, size, targets.devices[0])
    timed(f"{name} {direction}", side, size, function)
