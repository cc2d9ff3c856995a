"""Sums, products and powers: the arithmetic between the layers, and its gradients."""

import numpy as np


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Add two arrays; one of them may be repeated along a dimension that it lacks (broadcasting).

    >>> add(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])).tolist()
    [[11.0, 22.0], [13.0, 24.0]]
    """
    return a + b


def add_backward(
    grad_output: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Hand the gradient to both operands as it is.

        dL/da = dL/dy        dL/db = dL/dy, each summed to its operand's shape

    Args:
        grad_output: dL/dy, in the shape of a + b.
        a, b: as given to `add`; only their shapes matter.

    Returns:
        grad_a, grad_b, in the shapes of a and b.

    >>> [g.tolist() for g in add_backward(np.array([1.0, 2.0]), np.zeros(2), np.zeros(()))]
    [[1.0, 2.0], 3.0]
    """
    return sum_to(grad_output, np.shape(a)), sum_to(grad_output, np.shape(b))


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Subtract b from a, broadcasting as `add` does.

    >>> subtract(np.array([1.0, 2.0]), np.array(3.0)).tolist()
    [-2.0, -1.0]
    """
    return a - b


def subtract_backward(
    grad_output: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Hand the gradient to a, and its negative to b.

        dL/da = dL/dy        dL/db = -dL/dy, each summed to its operand's shape

    >>> [g.tolist() for g in subtract_backward(np.array([1.0, 2.0]), np.zeros(2), np.zeros(()))]
    [[1.0, 2.0], -3.0]
    """
    return sum_to(grad_output, np.shape(a)), sum_to(-grad_output, np.shape(b))


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply element by element, broadcasting as `add` does.

    >>> multiply(np.array([1.0, 2.0]), np.array([3.0, 4.0])).tolist()
    [3.0, 8.0]
    """
    return a * b


def multiply_backward(
    grad_output: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Weigh the gradient of each factor by the other factor.

        dL/da = b dL/dy        dL/db = a dL/dy, each summed to its operand's shape

    >>> [g.tolist() for g in multiply_backward(np.ones(2), np.array([3.0, 4.0]), np.array(5.0))]
    [[5.0, 5.0], 7.0]
    """
    return sum_to(grad_output * b, np.shape(a)), sum_to(grad_output * a, np.shape(b))


def power(base: np.ndarray, exponent: int) -> np.ndarray:
    """Raise every element to the same whole power.

    >>> power(np.array([2.0, -3.0]), 2).tolist()
    [4.0, 9.0]
    """
    return base**exponent


def power_backward(grad_output: np.ndarray, base: np.ndarray, exponent: int) -> np.ndarray:
    r"""Apply the power rule; the exponent is a constant.

        dL/dx = n x^(n-1) dL/dy        for n at least 1

    >>> power_backward(np.array([1.0, 10.0]), np.array([2.0, -3.0]), 3).tolist()
    [12.0, 270.0]
    """
    return grad_output * (exponent * base ** (exponent - 1))


def sum(input: np.ndarray) -> np.ndarray:
    """Add up all elements.

    >>> float(sum(np.array([[1.0, 2.0], [3.0, 4.0]])))
    10.0
    """
    return input.sum()


def sum_backward(grad_output: np.ndarray, input: np.ndarray) -> np.ndarray:
    r"""Give every term the whole gradient: raising any of them raises the sum as much.

        dL/dx_i = dL/dy for every i

    >>> sum_backward(np.array(2.0), np.zeros((2, 2))).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    return np.broadcast_to(grad_output, np.shape(input))


def unbind(input: np.ndarray) -> tuple[np.ndarray, ...]:
    """Take an array apart into its rows: one operation with several results.

    >>> [row.tolist() for row in unbind(np.array([[1.0, 2.0], [3.0, 4.0]]))]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return tuple(input[row] for row in range(input.shape[0]))


def unbind_backward(*grad_outputs: np.ndarray | None) -> np.ndarray:
    r"""Put the gradients of the rows together again.

    Args:
        grad_outputs: dL/dy for each row, or None for a row that the loss does not depend on; not
            all of them None.

    Returns:
        grad_input: their stack, with zeros where there was None.

    >>> unbind_backward(np.array([1.0, 2.0]), None).tolist()
    [[1.0, 2.0], [0.0, 0.0]]
    """
    zeros = np.zeros_like(next(grad for grad in grad_outputs if grad is not None))
    return np.stack([zeros if grad is None else grad for grad in grad_outputs])


def sum_to(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    r"""Undo broadcasting: what was repeated gets the sum of its copies' gradients.

    Args:
        grad: the gradient of the repeated array.
        shape: the array's own, before it was repeated.

    >>> sum_to(np.array([[1.0, 2.0], [3.0, 4.0]]), (2,)).tolist()
    [4.0, 6.0]
    """
    while len(grad.shape) > len(shape):  # leading dimensions that were added
        grad = grad.sum(axis=0)
    for axis, side in enumerate(shape):  # dimensions of size 1 that were stretched
        if side == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad
