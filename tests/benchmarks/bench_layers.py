"""Linear, the activations, BatchNorm and dropout, on square matrices."""

import torch.nn.functional as F

from reference.batch_norm import batch_norm, batch_norm_backward
from reference.batch_statistics import batch_statistics
from reference.dropout import dropout, dropout_backward
from reference.linear import linear, linear_backward
from reference.relu import relu, relu_backward, threshold, threshold_backward
from reference.softplus import softplus, softplus_backward
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import Pair, numbers, pairs
from tests.harness.targets import Targets

LAYERS = {
    "linear": Pair(
        lambda n: (numbers(n, n), numbers(n, n), numbers(n)),
        F.linear,
        linear,
        lambda grad, y, x, weight, bias: linear_backward(grad, x, weight),
    ),
    "relu": Pair(
        lambda n: (numbers(n, n),),
        F.relu,
        relu,
        lambda grad, y, x: relu_backward(grad, x),
    ),
    "threshold": Pair(
        lambda n: (numbers(n, n),),
        lambda x: F.threshold(x, 0.5, -1.0),
        lambda x: threshold(x, 0.5, -1.0),
        lambda grad, y, x: threshold_backward(grad, x, 0.5),
    ),
    "softplus": Pair(
        lambda n: (numbers(n, n),),
        F.softplus,
        softplus,
        lambda grad, y, x: softplus_backward(grad, x),
    ),
    "batch_norm": Pair(
        lambda n: (numbers(n, n), numbers(n), numbers(n)),
        lambda x, weight, bias: F.batch_norm(x, None, None, weight, bias, training=True),
        lambda x, weight, bias: batch_norm(x, *batch_statistics(x), weight, bias),
        lambda grad, y, x, weight, bias: batch_norm_backward(grad, x, *batch_statistics(x), weight),
    ),
    # torch draws its mask; the reference is given one, of the same half.
    "dropout": Pair(
        lambda n: (numbers(n, n),),
        F.dropout,
        lambda x: dropout(x, numbers(*x.shape) > 0),
        lambda grad, y, x: dropout_backward(grad, numbers(*x.shape) > 0),
    ),
}


@pairs(LAYERS)
def test_layers(
    timed: Timed, targets: Targets, name: str, direction: str, size: int, side: str
) -> None:
    function = LAYERS[name].timed(side, direction, size, targets.devices[0])
    timed(f"{name} {direction}", side, size, function)
