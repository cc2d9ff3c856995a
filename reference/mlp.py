"""The two-layer network of the MNIST check: Linear, ReLU, Linear, cross-entropy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from reference import operations
from reference.graph import Tensor
from reference.initialization import linear_parameters
from reference.linear import linear, linear_backward, linear_backward_parameters
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward


class Parameters(NamedTuple):
    """The four arrays that are trained, in the order of `torch.nn.Sequential.parameters()`."""

    weight1: np.ndarray  # (hidden, in)
    bias1: np.ndarray  # (hidden,)
    weight2: np.ndarray  # (classes, hidden)
    bias2: np.ndarray  # (classes,)


class Activations(NamedTuple):
    """What the forward pass computes, and the backward pass needs again."""

    hidden_input: np.ndarray  # (N, hidden), before ReLU
    hidden: np.ndarray  # (N, hidden), after ReLU
    logits: np.ndarray  # (N, classes)
    log_probabilities: np.ndarray  # (N, classes)
    loss: np.ndarray  # scalar


def initial_parameters(
    generator: np.random.Generator, in_features: int, hidden: int, classes: int
) -> Parameters:
    """Draw both layers as `torch.nn.Linear` would (see `initialization`).

    Args:
        generator: of NumPy's random numbers.
        in_features, hidden, classes: the widths of the layers.

    Returns:
        the four parameters.

    >>> [p.shape for p in initial_parameters(np.random.default_rng(0), 5, 4, 3)]
    [(4, 5), (4,), (3, 4), (3,)]
    """
    return Parameters(
        *linear_parameters(generator, in_features, hidden),
        *linear_parameters(generator, hidden, classes),
    )


def forward(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> Activations:
    r"""Compute the loss of a batch, and all that leads to it.

        h = relu(x W1^T + b1)        z = h W2^T + b2        L = cross_entropy(z, t)

    Args:
        parameters: the four arrays.
        images: (N, in), one flattened image per row.
        labels: (N,) integers in [0, classes).

    Returns:
        every intermediate result, the loss last.

    Raises:
        ValueError: if a label is not a class, or a shape does not fit.

    >>> one = Parameters(np.ones((1, 1)), np.zeros(1), np.array([[1.0], [-1.0]]), np.zeros(2))
    >>> forward(one, np.array([[2.0]]), np.array([0])).logits.tolist()
    [[2.0, -2.0]]
    """
    hidden_input = linear(images, parameters.weight1, parameters.bias1)  # (N, in) -> (N, hidden)
    hidden = relu(hidden_input)
    logits = linear(hidden, parameters.weight2, parameters.bias2)  # (N, hidden) -> (N, classes)
    log_probabilities = log_softmax(logits)
    loss = nll_loss(log_probabilities, labels)  # (N, classes) -> scalar
    return Activations(hidden_input, hidden, logits, log_probabilities, loss)


def backward(
    parameters: Parameters, images: np.ndarray, labels: np.ndarray, activations: Activations
) -> Parameters:
    r"""Walk the graph from the loss back to the four parameters.

    Each line is one node of the graph, in the reverse of the order in which `forward` made them,
    and hands its result to the next: this is all that `loss.backward()` does.

    Args:
        parameters, images, labels: as given to `forward`.
        activations: as returned by it.

    Returns:
        the gradient of the loss with respect to each parameter, in the parameters' shapes.

    >>> one = Parameters(np.ones((1, 1)), np.zeros(1), np.zeros((2, 1)), np.zeros(2))
    >>> images, labels = np.array([[2.0]]), np.array([0])
    >>> backward(one, images, labels, forward(one, images, labels)).bias2.tolist()
    [-0.5, 0.5]

    Source: Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors"
    (1986).
    """
    grad_loss = np.ones_like(activations.loss)  # dL/dL = 1, where every backward pass starts
    grad_log_probabilities = nll_loss_backward(grad_loss, activations.log_probabilities, labels)
    grad_logits = log_softmax_backward(grad_log_probabilities, activations.log_probabilities)
    grad_hidden, grad_weight2, grad_bias2 = linear_backward(
        grad_logits, activations.hidden, parameters.weight2
    )
    grad_hidden_input = relu_backward(grad_hidden, activations.hidden_input)
    grad_weight1, grad_bias1 = linear_backward_parameters(grad_hidden_input, images)
    return Parameters(grad_weight1, grad_bias1, grad_weight2, grad_bias2)


def recorded_forward(
    parameters: Sequence[Tensor], images: np.ndarray, labels: np.ndarray
) -> list[Tensor]:
    r"""Compute the same on tensors: the graph is recorded, and its walk replaces `backward`.

    Args:
        parameters: four tensors, in the order of `Parameters`.
        images, labels: as given to `forward`; constants.

    Returns:
        every intermediate result, the loss last, as in `Activations`.

    >>> arrays = np.ones((1, 1)), np.zeros(1), np.zeros((2, 1)), np.zeros(2)
    >>> parameters = [Tensor(array, requires_grad=True) for array in arrays]
    >>> recorded_forward(parameters, np.array([[2.0]]), np.array([0]))[-1].backward()
    >>> parameters[3].grad.tolist()
    [-0.5, 0.5]
    """
    weight1, bias1, weight2, bias2 = parameters
    hidden_input = operations.linear(images, weight1, bias1)
    hidden = operations.relu(hidden_input)
    logits = operations.linear(hidden, weight2, bias2)
    log_probabilities = operations.log_softmax(logits)
    loss = operations.nll_loss(log_probabilities, labels)
    return [hidden_input, hidden, logits, log_probabilities, loss]
