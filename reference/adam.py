"""Adam: adaptive moment estimation."""

import math

import numpy as np


def adam_step(
    param: np.ndarray,
    grad: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    step: int,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Move each parameter by about lr, in the direction its recent gradients agree on.

    The mean of the recent gradients over their root mean square is near +-1 where they agree in
    sign and near 0 where they do not, whatever their scale. So every parameter has its own step
    size, and the gradient's units cancel.

    Symbols: p parameter, g gradient, m exp_avg, v exp_avg_sq, t step, lambda weight_decay.

        g <- g + lambda p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr m_hat / (sqrt(v_hat) + eps)

    Both averages start at 0 and are too small at first, by the sum of the weights given so far:

        m_hat = m / (1 - beta1^t)        v_hat = v / (1 - beta2^t)

    The corrections are numbers, not arrays, so the code applies them where they are cheapest:

        lr m_hat / (sqrt(v_hat) + eps)
            = (lr / (1 - beta1^t)) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

    Args:
        param: any shape.
        grad: the same shape, dL/dp.
        exp_avg, exp_avg_sq: the same shape, m and v; zeros before the first step.
        step: t, this step's number, counted from 1.
        lr: learning rate, in the parameter's units.
        betas: how much of each average is kept per step, each in [0, 1).
        eps: keeps the division finite, in the gradient's units.
        weight_decay: lambda; here it passes through the averages (see `adamw` for the other way).

    Returns:
        the new param, exp_avg, exp_avg_sq.

    Raises:
        ValueError: if step is below 1, where the corrections would divide by zero.

    Divergence from the paper: none in the formula above (its algorithm 1). The shortcut at the end
    of the paper's section 2 adds eps to the uncorrected root, which makes eps larger in effect;
    torch and this code add it to the corrected one.

    The first step is lr times the sign of the gradient, whatever its size:

    >>> zeros, grad = np.zeros(2), np.array([4.0, -0.25])
    >>> param, exp_avg, exp_avg_sq = adam_step(zeros, grad, zeros, zeros, 1, eps=0.0)
    >>> param.round(12).tolist()
    [-0.001, 0.001]

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.
    """
    if step < 1:
        raise ValueError(f"step counts from 1, got {step}")
    beta1, beta2 = betas
    if weight_decay != 0:
        grad = grad + weight_decay * param
    exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    step_size = lr / (1 - beta1**step)
    denom = np.sqrt(exp_avg_sq) / math.sqrt(1 - beta2**step) + eps
    return param - step_size * exp_avg / denom, exp_avg, exp_avg_sq
