"""One training step of the two-layer network, number by number, as at a board.

    python -m reference          the numbers
    python -m reference --dot    only the graph, as input for Graphviz

prints a forward pass, the backward pass node by node, the graph that it walked, and one AdamW
update written out. Every number comes from the functions of this folder; the update, worked out a
second time in order to be seen, is asserted to end where `adamw_step` does.
"""

import math
import sys
from typing import Any

import numpy as np

from reference.adamw import adamw_step
from reference.drawing import as_dot, as_text
from reference.graph import Tensor
from reference.linear import linear_backward
from reference.log_softmax import log_softmax_backward
from reference.mlp import (
    Activations,
    Parameters,
    backward,
    forward,
    initial_parameters,
    recorded_forward,
)
from reference.nll_loss import nll_loss_backward
from reference.relu import relu_backward

SYMBOLS = ("W1", "b1", "W2", "b2")  # of the parameters, in their order


def show(name: str, formula: str, values: np.ndarray) -> None:
    """Print one named array: its formula, its shape, its values row by row."""
    margin = f"  {name:<17}  {formula:<39} {values.shape!s:<6}"
    for row in np.atleast_2d(values).tolist():
        print(margin + "".join(f"{v:8d}" if isinstance(v, int) else f"{v:z8.4f}" for v in row))
        margin = " " * len(margin)


def example() -> tuple[Parameters, np.ndarray, np.ndarray]:
    """Draw 4 parameters (3 inputs, 4 hidden units, 3 classes) and a batch of 2, to one decimal."""
    generator = np.random.default_rng(1)
    drawn = initial_parameters(generator, in_features=3, hidden=4, classes=3)
    parameters = Parameters(*(array.round(1) for array in drawn))
    return parameters, generator.uniform(size=(2, 3)).round(1), np.array([0, 2])


def show_forward(
    parameters: Parameters, images: np.ndarray, labels: np.ndarray, activations: Activations
) -> None:
    """Print what is given, and every value on the way to the loss."""
    print("GIVEN: N = 2 images, their classes, and four parameters (drawn, to one decimal)\n")
    show("images", "x", images)
    show("labels", "t", labels)
    for name, symbol, values in zip(Parameters._fields, SYMBOLS, parameters, strict=True):
        show(name, symbol, values)
    print("\n1. FORWARD: from the images to the loss (n counts images; c, k count classes)\n")
    formulas = (
        "a = x W1^T + b1",
        "h = relu(a): 0 where a < 0, else a",
        "z = h W2^T + b2",
        "y_nc = z_nc - log sum_k exp(z_nk)",
        "L = -1/N sum_n y_{n, t_n}",
    )
    for name, formula, values in zip(Activations._fields, formulas, activations, strict=True):
        show(name, formula, values)


def show_backward(
    parameters: Parameters, images: np.ndarray, labels: np.ndarray, activations: Activations
) -> Parameters:
    """Print the gradient that each node passes on, then the parameters' gradients; return those."""
    hidden_input, hidden, _, log_probabilities, loss = activations
    grad_loss = np.ones_like(loss)
    grad_log_probabilities = nll_loss_backward(grad_loss, log_probabilities, labels)
    grad_logits = log_softmax_backward(grad_log_probabilities, log_probabilities)
    grad_hidden, *grads2 = linear_backward(grad_logits, hidden, parameters.weight2)
    grad_hidden_input = relu_backward(grad_hidden, hidden_input)
    _, *grads1 = linear_backward(grad_hidden_input, images, parameters.weight1)
    gradients = Parameters(*grads1, *grads2)
    assert all(map(np.array_equal, gradients, backward(parameters, images, labels, activations)))
    prediction, truth = np.exp(log_probabilities), np.eye(3, dtype=int)[labels]
    assert np.allclose(grad_logits, (prediction - truth) / len(labels))

    print("\n2. BACKWARD: each node turns the gradient above it into the next, by the chain rule\n")
    show("(start)", "dL/dL = 1", grad_loss)
    show("NllLoss", "dL/dy_nc = -1/N where c = t_n, else 0", grad_log_probabilities)
    show("LogSoftmax", "dL/dz = dL/dy - exp(y) sum_k dL/dy_nk", grad_logits)
    show("", "      = (prediction - truth) / N, where", np.empty((0, 3)))
    show("", "        prediction = exp(y)", prediction)
    show("", "        truth = 1 where c = t_n, else 0", truth)
    show("Linear 2", "dL/dh = dL/dz W2", grad_hidden)
    show("Relu", "dL/da = 0 where a <= 0, else dL/dh", grad_hidden_input)
    print("  Linear 1           no dL/dx: the images are not trained, so nothing is passed on")
    print("\n  The two Linear also have parameters, whose gradients sum over the batch:\n")
    formulas = ("(dL/da)^T x", "sum_n dL/da", "(dL/dz)^T h", "sum_n dL/dz")
    for name, symbol, formula, values in zip(
        Parameters._fields, SYMBOLS, formulas, gradients, strict=True
    ):
        show(f"{name}.grad", f"dL/d{symbol} = {formula}", values)
    return gradients


def recorded(
    parameters: Parameters, images: np.ndarray, labels: np.ndarray
) -> tuple[Tensor, dict[Tensor, str]]:
    """Do the same once more on the graph; return the loss, and the names of all tensors."""
    leaves = [Tensor(array, requires_grad=True) for array in parameters]
    results = recorded_forward(leaves, images, labels)
    for result in results:
        result.retain_grad()
    results[-1].backward()
    return results[-1], dict(zip([*leaves, *results], [*SYMBOLS, *"ahzyL"], strict=True))


def show_graph(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> None:
    """Print the graph, and check that its walk comes to what has been worked out by hand."""
    loss, names = recorded(parameters, images, labels)
    by_hand = backward(parameters, images, labels, forward(parameters, images, labels))
    leaves = [tensor for tensor in names if tensor.is_leaf]
    assert all(np.array_equal(x.grad, g) for x, g in zip(leaves, by_hand, strict=True))
    print(
        "\n3. THE GRAPH that backward() walks: each node, what arrives there, to whom it hands on"
    )
    print("   (the newest node first; torch calls the node of Linear Addmm)\n")
    print("  " + as_text(loss, names).replace("\n", "\n  "))


def show_update(parameters: Parameters, gradients: Parameters) -> Parameters:
    """Print the first AdamW step of one weight in full; return all parameters after the step."""
    lr, (beta1, beta2), eps, decay, t = 0.05, (0.9, 0.999), 1e-8, 0.01, 1
    options: dict[str, Any] = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": decay}
    steps = [
        adamw_step(param, grad, np.zeros_like(param), np.zeros_like(param), t, **options)
        for param, grad in zip(parameters, gradients, strict=True)
    ]

    p, g = float(parameters.weight1[0, 1]), float(gradients.weight1[0, 1])
    q = p * (1 - lr * decay)
    m = beta1 * 0 + (1 - beta1) * g
    v = beta2 * 0 + (1 - beta2) * g * g
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    s = lr / c1
    d = math.sqrt(v) / math.sqrt(c2) + eps
    new = q - s * m / d
    assert [new, m, v] == [array[0, 1] for array in steps[0][:3]]

    print("\n4. UPDATE: AdamW, step t = 1, written out for the one weight p = weight1[0, 1]\n")
    print(
        f"  p = {p}, lr = {lr}, beta1 = {beta1}, beta2 = {beta2}, eps = {eps}, lambda = {decay}\n"
    )
    for name, formula, numbers, value in (
        ("gradient", "g = dL/dp", "from the table above", g),
        ("decay", "q = p (1 - lr lambda)", f"{p} (1 - {lr} * {decay})", q),
        ("exp_avg", "m = beta1 0 + (1 - beta1) g", f"{1 - beta1:.6g} * {g:.6g}", m),
        ("exp_avg_sq", "v = beta2 0 + (1 - beta2) g^2", f"{1 - beta2:.6g} * {g * g:.6g}", v),
        ("bias correction 1", "c1 = 1 - beta1^t", f"1 - {beta1}^{t}", c1),
        ("bias correction 2", "c2 = 1 - beta2^t", f"1 - {beta2}^{t}", c2),
        ("step_size", "s = lr / c1", f"{lr} / {c1:.6g}", s),
        ("denom", "d = sqrt(v) / sqrt(c2) + eps", f"sqrt({v:.6g}) / sqrt({c2:.6g}) + {eps}", d),
        ("new value", "p = q - s m / d", f"{q:.6g} - {s:.6g} * {m:.6g} / {d:.6g}", new),
    ):
        print(f"  {name:<17}  {formula:<29}  = {numbers:<39} = {value:11.6g}")
    return Parameters(*(param for param, *_ in steps))


def main() -> None:
    """Print the step, and what it does to the loss; or the graph alone."""
    parameters, images, labels = example()
    if sys.argv[1:] == ["--dot"]:
        print(as_dot(*recorded(parameters, images, labels)))
        return
    if sys.argv[1:]:
        sys.exit("usage: python -m reference [--dot]")
    before = forward(parameters, images, labels)
    show_forward(parameters, images, labels, before)
    gradients = show_backward(parameters, images, labels, before)
    show_graph(parameters, images, labels)
    updated = show_update(parameters, gradients)
    after = forward(updated, images, labels)
    print("\n  All four parameters take such a step, and the loss of the same batch falls:\n")
    show("loss before", "L(W1, b1, W2, b2)", before.loss)
    show("loss after", "L at the new W1, b1, W2, b2", after.loss)


if __name__ == "__main__":
    main()
