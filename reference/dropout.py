"""Dropout: a random share of the numbers set to zero, and the others scaled up for them."""

import numpy as np


def dropout(input: np.ndarray, mask: np.ndarray, p: float = 0.5) -> np.ndarray:
    r"""Keep what the mask keeps, scaled so that the expectation stays what it was.

    A unit that may vanish at each step cannot be relied on by one other unit alone, which makes the
    network spread what it knows. Scaling in training leaves nothing to do in evaluation, where
    dropout is the identity.

    Symbols: m the mask, 0 with probability p and else 1, each drawn independently. So E[m] = 1 - p.

        y = x m / (1 - p)

    Where p = 1 nothing is kept, there is nothing to scale, and y = x m.

    Args:
        input: any shape.
        mask: zeros and ones, of the same shape; or (N, C, 1, ...), where whole channels are dropped
            (dropout1d to dropout3d), because neighbouring positions of a channel say the same.
        p: the probability to be dropped, in [0, 1].

    Returns:
        output: as the input.

    Raises:
        ValueError: if p is no probability.

    Divergence from the paper: which scales in evaluation instead, by 1 - p. As in torch, what is
    dropped is multiplied by 0, so an infinity or NaN becomes NaN and not 0.

    >>> dropout(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 0.0, 0.0, 1.0]), 0.75).tolist()
    [4.0, 0.0, 0.0, 16.0]

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"
    (2014), sections 4 and 10; Tompson et al., "Efficient Object Localization Using Convolutional
    Networks" (2015), section 3.2, for channels.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability, between 0 and 1, got {p}")
    return input * mask if p == 1 else input * (mask / (1 - p))


def dropout_backward(grad_output: np.ndarray, mask: np.ndarray, p: float = 0.5) -> np.ndarray:
    r"""Pass the gradient on through what was kept, scaled alike.

    Given the mask the function is linear, each number times a factor: the gradient is its own.

        dL/dx = dL/dy m / (1 - p)

    Args:
        grad_output: dL/dy, any shape.
        mask, p: as given to `dropout`.

    Returns:
        grad_input: as the input.

    >>> dropout_backward(np.array([1.0, -1.0]), np.array([0.0, 1.0])).tolist()
    [0.0, -2.0]
    """
    return dropout(grad_output, mask, p)
