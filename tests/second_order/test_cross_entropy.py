"""Cross-entropy: how the loss moves with the scores, and the gradients of its gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from tests.harness.dual import Dual, tangents
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Targets
from tests.references.proofs import agree
from tests.second_order.moving import Moving, moving, tame, verify


@dataclass(frozen=True)
class MovingScores:
    """Scores that move, and the true classes."""

    scores: Moving
    target: np.ndarray


@st.composite
def moving_scores(draw: st.DrawFn) -> MovingScores:
    rows = draw(sides(at_most=65))
    classes = draw(sides(at_least=1, at_most=1025 // max(1, rows)))
    labels = np.frombuffer(draw(st.binary(min_size=2 * rows, max_size=2 * rows)), ">u2") % classes
    scores = draw(moving({"input": (rows, classes)}, (), special=False, of_directions=tame))
    return MovingScores(scores, labels.astype(np.int64))


def log_softmax_double_backward(
    direction: np.ndarray, grad_output: np.ndarray, output: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of sum(direction * log_softmax_backward(grad_output, output)).

    With respect to grad_output and to output, as torch's formulas have them: from the output.
    """
    probabilities = np.exp(output)
    mean = (direction * probabilities).sum(axis=1, keepdims=True)
    return direction - mean, -grad_output.sum(axis=1, keepdims=True) * probabilities * direction


def moved(case: MovingScores, dtype: str) -> dict[str, Any]:
    """Forward mode op by op; the double backward through its own formulas, op by op as well."""
    ops, mean = Rounding.op_by_op(dtype), Rounding.native(dtype)
    kernel = Rounding.kernel(dtype)
    softmax = Rounding.kernel(dtype, stores=(np.sum, np.log))
    scores = case.scores.inputs["input"].numbers(dtype)
    direction = case.scores.directions["input"].numbers(dtype)

    def averaged(moved_log: Any) -> Any:
        return mean.stored(nll_loss(mean.array(moved_log), case.target))

    moved_log = tangents(log_softmax, Dual(ops.array(scores), ops.array(direction)))
    log_probabilities = softmax.stored(log_softmax(softmax.array(scores)))
    grad_loss = mean.array(case.scores.grad_output.numbers(dtype))
    grad_log = mean.stored(nll_loss_backward(grad_loss, mean.array(log_probabilities), case.target))
    by_grad, by_output = log_softmax_double_backward(
        ops.array(direction), ops.array(grad_log), ops.array(log_probabilities)
    )
    second = log_softmax_backward(
        kernel.array(ops.stored(by_output)), kernel.array(log_probabilities)
    )
    return {
        "tangent": averaged(ops.stored(moved_log)),
        "second grad_output": averaged(ops.stored(by_grad)),
        "second grad_input": kernel.stored(second),
    }


@given(case=moving_scores())
def test_cross_entropy_and_its_gradient_move_as_the_reference_does(
    targets: Targets, case: MovingScores
) -> None:
    def cross_entropy(input: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(input, torch.from_numpy(case.target).to(input.device))

    verify("cross_entropy", targets, case.scores, cross_entropy, lambda dtype: moved(case, dtype))


def test_the_double_backward_above_is_the_derivative_of_the_reference() -> None:
    def backward(g: Any, x: Any) -> Any:
        return log_softmax_backward(g, log_softmax(x))

    generator = np.random.default_rng(0)
    x, g, v = (generator.standard_normal((4, 6)) for _ in range(3))
    by_grad, by_output = log_softmax_double_backward(v, g, log_softmax(x))
    agree(by_grad, tangents(log_softmax, Dual(x, v)))
    agree(backward(by_output, x), tangents(backward, Dual(g), Dual(x, v)))
