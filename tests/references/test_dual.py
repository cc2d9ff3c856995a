"""Duals are the complex step without a step: the tests here hold the one against the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.cross_entropy import cross_entropy
from reference.linear import linear, linear_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu
from tests.harness.dual import RULES, Dual, tangents
from tests.references.proofs import STEP, agree, complex_step

RULES_OF_TWO = (np.add, np.subtract, np.multiply, np.true_divide, np.matmul)
RULES_OF_ONE = (np.negative, np.sqrt, np.exp, np.log)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def agree_with_the_complex_step(
    function: Callable[..., Any], generator: np.random.Generator, *inputs: np.ndarray
) -> None:
    """In one random direction of all inputs together, and of each alone."""
    directions = [generator.standard_normal(x.shape) for x in inputs]
    for still in (None, *range(len(inputs))):
        moving = [i for i in range(len(inputs)) if i != still or len(inputs) == 1]
        duals = [Dual(x, directions[i] if i in moving else None) for i, x in enumerate(inputs)]
        steps = [1j * STEP * directions[i] if i in moving else 0 for i in range(len(inputs))]
        found = tangents(function, *duals)
        expected = function(*(x + step for x, step in zip(inputs, steps, strict=True)))
        if not isinstance(expected, tuple):
            found, expected = (found,), (expected,)
        for ours, theirs in zip(found, expected, strict=True):
            derivative = np.imag(theirs) / STEP
            agree(np.zeros(derivative.shape) if ours is None else ours, derivative)


@pytest.mark.parametrize("function", [*RULES_OF_TWO, *RULES_OF_ONE])
def test_every_rule_is_a_derivative(function, generator):
    inputs = generator.uniform(0.5, 2.0, (2 if function in RULES_OF_TWO else 1, 3, 3))
    agree_with_the_complex_step(function, generator, *inputs)


def test_no_rule_is_left_out():
    chosen = {np.where, np.moveaxis}  # by relu and cross-entropy below
    assert set(RULES) == {*RULES_OF_ONE, *RULES_OF_TWO, *chosen}


@pytest.mark.parametrize("function", [np.tanh, np.add.reduce, np.cumsum])
def test_a_function_without_a_rule_is_refused(function):
    with pytest.raises(TypeError, match=r"^no rule for duals in np\.\w+"):
        function(Dual(np.ones(2), np.ones(2)))


def test_what_is_stretched_moves_alike():
    """A bias that moves, added to rows that do not."""
    moved = Dual(np.zeros((2, 3))) + Dual(np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert moved.tangent.tolist() == 2 * [[1, 2, 3]]


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_linear_moves_both_ways(generator, batch):
    inputs = [generator.standard_normal(shape) for shape in ((*batch, 5), (3, 5), (3,))]
    agree_with_the_complex_step(linear, generator, *inputs)
    grad_output = generator.standard_normal((*batch, 3))
    agree_with_the_complex_step(linear_backward, generator, grad_output, *inputs[:2])


def test_relu_moves_away_from_the_kink(generator):
    agree_with_the_complex_step(relu, generator, generator.standard_normal(20))


def test_cross_entropy_moves_both_ways(generator):
    target = generator.integers(0, 6, 4)
    x, g = 3 * generator.standard_normal((4, 6)), generator.standard_normal((4, 6))
    agree_with_the_complex_step(log_softmax, generator, x)
    agree_with_the_complex_step(lambda x: nll_loss(x, target), generator, x)
    agree_with_the_complex_step(lambda x: cross_entropy(x, target), generator, x)
    agree_with_the_complex_step(
        lambda g, x: log_softmax_backward(g, log_softmax(x)), generator, g, x
    )
    agree_with_the_complex_step(
        lambda g: nll_loss_backward(g, x, target), generator, generator.standard_normal(())
    )


def test_the_gradient_of_a_gradient_is_a_tangent(generator):
    """The proof in `tests/harness/dual.py`, in numbers: transposed left, moved right."""
    x, g, v = (generator.standard_normal((4, 6)) for _ in range(3))

    def backward(g, x):
        return log_softmax_backward(g, log_softmax(x))

    agree(complex_step(lambda x: backward(g, x), x, v), tangents(backward, Dual(g), Dual(x, v)))
    agree(complex_step(lambda g: backward(g, x), g, v), tangents(log_softmax, Dual(x, v)))
