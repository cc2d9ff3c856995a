"""AdamW: Adam with decoupled weight decay."""

import numpy as np

from reference.adam import adam_step


def adamw_step(
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
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    maximize: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    r"""Shrink the parameter a little, then take an Adam step that knows nothing of the shrinking.

    In Adam, a decay term added to the gradient is divided by sqrt(v) like everything else, so
    parameters with large gradients hardly decay. Here all decay at the same rate, lr * lambda.

    Symbols: p parameter, g gradient, lambda weight_decay; m, v, t as in `adam`.

        p <- p (1 - lr lambda)
        p, m, v <- adam_step(p, g, m, v, t)

    Args:
        weight_decay: lambda, at least 0.
        all others: as for `adam_step`.

    Returns:
        the new param, exp_avg, exp_avg_sq, max_exp_avg_sq (without amsgrad, the one given).

    Raises:
        ValueError: as `adam_step`.

    Divergence from the paper: the paper decays by lambda times a schedule multiplier, apart from
    the learning rate; torch, and this code, by lr * lambda.

    With no gradient only the decay remains:

    >>> zero = np.zeros(1)
    >>> param, *_ = adamw_step(np.array([2.0]), zero, zero, zero, 1, lr=0.5, weight_decay=0.5)
    >>> param.tolist()
    [1.5]

    Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
    """
    return adam_step(
        param,
        grad,
        exp_avg,
        exp_avg_sq,
        step,
        max_exp_avg_sq,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        maximize=maximize,
        decoupled_weight_decay=True,
    )
