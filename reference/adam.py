"""Adam: adaptive moment estimation."""

import numpy as np


def adam_step(
    param: np.ndarray,
    grad: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    step: int,
    max_exp_avg_sq: np.ndarray | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    r"""Move each parameter by about lr, in the direction its recent gradients agree on.

    The mean of the recent gradients over their root mean square is near +-1 where they agree in
    sign and near 0 where they do not, whatever their scale. So every parameter has its own step
    size, and the gradient's units cancel.

    Symbols: p parameter, g gradient, m exp_avg, v exp_avg_sq, V max_exp_avg_sq, t step, lambda
    weight_decay.

        g <- -g                             (only to maximize)
        g <- g + lambda p                   (or, decoupled, p <- p (1 - lr lambda))
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        V <- max(V, v)                      (amsgrad; otherwise V is v)
        p <- p - lr m_hat / (sqrt(v_hat) + eps)

    Both averages start at 0 and are too small at first, by the sum of the weights given so far:

        m_hat = m / (1 - beta1^t)        v_hat = V / (1 - beta2^t)

    The corrections are numbers, not arrays, so the code applies them where they are cheapest:

        lr m_hat / (sqrt(v_hat) + eps)
            = (lr / (1 - beta1^t)) m / (sqrt(V) / sqrt(1 - beta2^t) + eps)

    Args:
        param: any shape.
        grad: the same shape, dL/dp.
        exp_avg, exp_avg_sq: the same shape, m and v; zeros before the first step.
        step: t, this step's number, counted from 1.
        max_exp_avg_sq: the same shape, V; None before the first step, and without amsgrad.
        lr: learning rate, in the parameter's units, at least 0.
        betas: how much of each average is kept per step, each in [0, 1).
        eps: keeps the division finite, in the gradient's units, at least 0.
        weight_decay: lambda, at least 0.
        amsgrad: divide by the largest v so far, so that step sizes only shrink.
        maximize: climb instead of descending.
        decoupled_weight_decay: keep the decay out of the averages (see `adamw`).

    Returns:
        the new param, exp_avg, exp_avg_sq, max_exp_avg_sq (without amsgrad, the one given).

    Raises:
        ValueError: if step is below 1, where the corrections would divide by zero, or if a
            hyperparameter is out of its range.

    Divergence from the papers: the shortcut at the end of Adam's section 2 adds eps to the
    uncorrected root, which makes eps larger in effect; torch and this code add it to the corrected
    one, as its algorithm 1 does. AMSGrad's paper corrects neither average and takes the maximum of
    corrected ones in its experiments; torch and this code correct the maximum. A complex parameter
    is, as in torch, two real ones: its real and imaginary parts have a v each.

    The first step is lr times the sign of the gradient, whatever its size:

    >>> zeros, grad = np.zeros(2), np.array([4.0, -0.25])
    >>> param, *_ = adam_step(zeros, grad, zeros, zeros, 1, eps=0.0)
    >>> param.round(12).tolist()
    [-0.001, 0.001]

    Sources: Kingma, Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1; Reddi,
    Kale, Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2 (amsgrad).
    """
    for name, number in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
        if not number.real >= 0:
            raise ValueError(f"{name} must be at least 0, got {number}")
    if not all(beta.real >= 0 and beta.real < 1 for beta in betas):
        raise ValueError(f"betas must be in [0, 1), got {betas}")
    if step < 1:
        raise ValueError(f"step counts from 1, got {step}")
    beta1, beta2 = betas
    if maximize:
        grad = -grad
    if decoupled_weight_decay:
        param = param * (1 - lr * weight_decay)
    elif weight_decay != 0:
        grad = grad + weight_decay * param
    exp_avg = beta1 * exp_avg + (1 - beta1) * grad
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * grad * grad
    largest = exp_avg_sq
    if amsgrad:
        largest = max_exp_avg_sq = np.maximum(
            0.0 if max_exp_avg_sq is None else max_exp_avg_sq, exp_avg_sq
        )
    step_size = lr / (1 - beta1**step)
    denom = np.sqrt(largest) / (1 - beta2**step) ** 0.5 + eps
    return param - step_size * exp_avg / denom, exp_avg, exp_avg_sq, max_exp_avg_sq
