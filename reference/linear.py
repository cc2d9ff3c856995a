"""Linear: every output is a weighted sum of the inputs, plus a bias."""

import math

import numpy as np


def linear(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    r"""Apply y = x W^T + b to every row of the input.

    The one operation with parameters in a multilayer perceptron; nearly all of the time goes here.

    Symbols: x a row of `in` numbers, W one row of weights per output, b one offset per output.

        y_o = sum_i x_i W_oi + b_o

    Args:
        input: (..., in), any number of leading dimensions, none included.
        weight: (out, in), torch's layout: one row per output.
        bias: (out,) or None.

    Returns:
        output: (..., out).

    Raises:
        ValueError: if the sizes do not fit together.

    Divergence from torch: NumPy computes in the wider of two dtypes, where torch refuses to mix
    them. torch also takes a vector as the weight, for one output whose dimension it leaves out, and
    stretches a bias of one number or of several rows, which its documentation does not promise.

    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, -0.5]))
    array([11.5, 16.5])

    Source: Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.1.
    """
    if len(weight.shape) != 2 or input.shape[-1:] != weight.shape[1:]:
        raise ValueError(
            f"input {input.shape} must be (..., in) where weight {weight.shape} is (out, in)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias {bias.shape} must be (out,) where weight {weight.shape} is (out, in)"
        )
    output = input @ weight.T  # (..., in) @ (in, out) -> (..., out)
    return output if bias is None else output + bias


def linear_backward(
    grad_output: np.ndarray, input: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Carry dL/dy back to the input, the weight and the bias.

    The chain rule for y = x W^T + b. The input of one row is used by every output, so its gradient
    sums over outputs; weight and bias are used by every row, so theirs sum over rows.

    Symbols: g = dL/dy, the gradient of the loss with respect to the output; n runs over the rows,
    all leading dimensions taken together.

        dL/dx_ni = sum_o g_no W_oi        dL/dW_oi = sum_n g_no x_ni        dL/db_o = sum_n g_no

    Args:
        grad_output: (..., out), dL/dy.
        input: (..., in), as given to `linear`.
        weight: (out, in), as given to `linear`.

    Returns:
        grad_input (..., in), grad_weight (out, in), grad_bias (out,).

    Raises:
        ValueError: if the shapes do not fit together (from NumPy).

    >>> input, weight = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])
    >>> tuple(g.tolist() for g in linear_backward(np.array([[1.0], [10.0]]), input, weight))
    ([[5.0, 6.0], [50.0, 60.0]], [[31.0, 42.0]], [11.0])

    Source: Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.5.6.
    """
    grad_input = grad_output @ weight  # (..., out) @ (out, in) -> (..., in)
    return grad_input, *linear_backward_parameters(grad_output, input)


def linear_backward_parameters(
    grad_output: np.ndarray, input: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Carry dL/dy back to the weight and the bias only.

    The first layer of a network stops here: nobody asks for the gradient of the data.

    Args:
        grad_output: (..., out), dL/dy.
        input: (..., in), as given to `linear`.

    Returns:
        grad_weight (out, in), grad_bias (out,).

    >>> tuple(g.tolist() for g in linear_backward_parameters(np.array([2.0]), np.array([3.0, 4.0])))
    ([[6.0, 8.0]], [2.0])
    """
    out_features, in_features = grad_output.shape[-1], input.shape[-1]
    rows = math.prod(input.shape[:-1])
    grad_rows = grad_output.reshape(rows, out_features)  # (..., out) -> (n, out)
    input_rows = input.reshape(rows, in_features)  # (..., in) -> (n, in)
    grad_weight = grad_rows.T @ input_rows  # (out, n) @ (n, in) -> (out, in)
    grad_bias = grad_rows.sum(axis=0)  # (n, out) -> (out,)
    return grad_weight, grad_bias
