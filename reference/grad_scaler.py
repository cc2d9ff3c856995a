"""Gradient scaling: losses multiplied by a large number, so that half gradients do not vanish."""

from collections.abc import Sequence

import numpy as np


def unscale(
    grads: Sequence[np.ndarray], scale: float | np.ndarray
) -> tuple[list[np.ndarray], bool]:
    r"""Divide the scale out of the gradients, and see whether any of them overflowed.

    float16 has no number between 0 and 6e-8, and many gradients are smaller. Of a loss S times as
    large all gradients are S times as large, and none vanishes. The parameters must not notice, so
    the gradients are divided by S before the step, in float32. If S was too large, some gradient is
    an infinity or NaN, and the step is left out.

    Symbols: S the scale, g a gradient of the loss times S.

        g <- g (1 / S)

    Args:
        grads: g, arrays of any shapes. A parameter without gradient has none here.
        scale: S, above 0.

    Returns:
        the gradients of the loss itself, and whether any g was not finite.

    Raises:
        ValueError: if the scale is not above 0.

    Divergence from torch: it keeps 1 / S in float32, whatever the gradients' dtype.

    >>> grads, found_inf = unscale([np.array([64.0, -128.0])], scale=64.0)
    >>> grads[0].tolist(), found_inf
    ([1.0, -2.0], False)
    >>> unscale([np.array([1.0]), np.array([np.inf])], 64.0)[1]
    True

    Source: Micikevicius et al., "Mixed Precision Training" (2018), section 3.2.
    """
    if not scale.real > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    found_inf = any(not np.isfinite(grad).all() for grad in grads)
    with np.errstate(invalid="ignore", over="ignore"):
        return [grad * (1 / scale) for grad in grads], found_inf


def update_scale(
    scale: float,
    growth_tracker: int,
    found_inf: bool,
    *,
    growth_factor: float = 2.0,
    backoff_factor: float = 0.5,
    growth_interval: int = 2000,
) -> tuple[float, int]:
    r"""Lower the scale after an overflow, and raise it after a long time without one.

    The best scale is the largest that overflows nowhere. It is not known and it changes, so it is
    searched for all the time: down at once, up seldom.

    Symbols: S the scale, n growth_tracker, the iterations since it last changed or would have.

        S, n <- S backoff_factor, 0     if any gradient of any optimizer overflowed
        S, n <- S growth_factor, 0      if not, and n + 1 = growth_interval
        S, n <- S, n + 1                otherwise

    Args:
        scale: S, above 0; torch keeps it in float32.
        growth_tracker: n, at least 0; 0 at first.
        found_inf: whether `unscale` found an infinity or NaN, for any optimizer.
        growth_factor: above 1.
        backoff_factor: below 1.
        growth_interval: iterations without overflow before S grows, at least 1.

    Returns:
        the new S and n. Where S would leave the range of float32 it does not grow.

    Raises:
        ValueError: if an option is out of its range.

    Divergence from torch: it takes any growth_interval; below 1, S never grows.

    >>> update_scale(8.0, 1, False, growth_interval=2), update_scale(8.0, 1, True)
    ((16.0, 0), (4.0, 0))
    >>> update_scale(8.0, 1, False)
    (8.0, 2)

    Source: Micikevicius et al., "Mixed Precision Training" (2018), section 3.2: "choosing a scaling
    factor"; the search is torch's own.
    """
    if not growth_factor > 1:
        raise ValueError(f"growth_factor must be above 1, got {growth_factor}")
    if not backoff_factor < 1:
        raise ValueError(f"backoff_factor must be below 1, got {backoff_factor}")
    if growth_interval < 1:
        raise ValueError(f"growth_interval must be at least 1, got {growth_interval}")
    if found_inf:
        return scale * backoff_factor, 0
    if growth_tracker + 1 < growth_interval:
        return scale, growth_tracker + 1
    grown = scale * growth_factor
    return (grown if grown <= float(np.finfo(np.float32).max) else scale), 0
