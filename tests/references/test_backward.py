"""Every backward pass is the derivative of its forward pass, by the complex step.

f(x + ih) = f(x) + ih f'(x) + O(h^2): with h = 1e-30 the imaginary part over h is the derivative,
with no subtraction in it, so both sides are right to their own rounding. Each is a sum of fewer
than 1000 terms here, so with gamma_1000 = 1000 * 2^-53 on either side they agree within
2000 * 2^-53 times the sum of absolute terms, which is below 100 times the largest number in sight.
"""

from collections.abc import Callable

import numpy as np
import pytest

from reference import mlp
from reference.cross_entropy import cross_entropy
from reference.linear import linear, linear_backward
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward

AGREEMENT = 2000 * 2.0**-53 * 100
STEP = 1e-30


def complex_step(forward: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray):
    """The gradient of sum(cotangent * forward(x)) with respect to x, one element at a time."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        nudged = x.astype(complex)
        nudged[index] += 1j * STEP
        gradient[index] = np.sum(cotangent * forward(nudged).imag) / STEP
    return gradient


def agree(ours: np.ndarray, derivative: np.ndarray) -> None:
    scale = 1 + np.abs(derivative).max(initial=0.0)
    assert np.abs(ours - derivative).max(initial=0.0) <= AGREEMENT * scale


@pytest.fixture(params=range(5))
def generator(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (0,)])
def test_linear_backward_is_the_derivative(generator, batch):
    x, w, b = (generator.standard_normal(s) for s in ((*batch, 5), (3, 5), (3,)))
    g = generator.standard_normal((*batch, 3))
    grads = linear_backward(g, x, w)
    agree(grads[0], complex_step(lambda t: linear(t, w, b), x, g))
    agree(grads[1], complex_step(lambda t: linear(x, t, b), w, g))
    agree(grads[2], complex_step(lambda t: linear(x, w, t), b, g))


def test_relu_backward_is_the_derivative_away_from_the_kink(generator):
    x, g = generator.standard_normal(20), generator.standard_normal(20)
    agree(relu_backward(g, x), complex_step(relu, x, g))


def test_log_softmax_and_nll_loss_backward_are_the_derivatives(generator):
    x, g = 3 * generator.standard_normal((4, 6)), generator.standard_normal((4, 6))
    target = generator.integers(0, 6, 4)
    agree(log_softmax_backward(g, log_softmax(x)), complex_step(log_softmax, x, g))
    g = generator.standard_normal(())
    derivative = complex_step(lambda t: nll_loss(t, target), x, g)
    agree(nll_loss_backward(g, x, target), derivative)


def test_cross_entropy_has_the_gradient_prediction_minus_truth(generator):
    x, target = 3 * generator.standard_normal((4, 6)), generator.integers(0, 6, 4)
    softmax = np.exp(log_softmax(x))
    derivative = complex_step(lambda t: cross_entropy(t, target), x, np.ones(()))
    agree((softmax - np.eye(6)[target]) / 4, derivative)


def test_the_whole_network_walks_back_to_the_derivative_of_its_loss(generator):
    parameters = mlp.initial_parameters(generator, 5, 4, 3)
    images, labels = generator.standard_normal((6, 5)), generator.integers(0, 3, 6)
    gradients = mlp.backward(parameters, images, labels, mlp.forward(parameters, images, labels))
    for name, gradient in zip(mlp.Parameters._fields, gradients, strict=True):

        def loss(value, name=name):
            return mlp.forward(parameters._replace(**{name: value}), images, labels).loss

        agree(gradient, complex_step(loss, getattr(parameters, name), np.ones(())))


def test_float32_stays_float32_from_the_images_to_the_gradients(generator):
    drawn = mlp.initial_parameters(generator, 5, 4, 3)
    parameters = mlp.Parameters(*(p.astype(np.float32) for p in drawn))
    images, labels = generator.standard_normal((6, 5), np.float32), generator.integers(0, 3, 6)
    activations = mlp.forward(parameters, images, labels)
    gradients = mlp.backward(parameters, images, labels, activations)
    assert {a.dtype for a in (*activations, *gradients)} == {np.dtype(np.float32)}
