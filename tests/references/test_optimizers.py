"""The optimizer steps against exact rational arithmetic, and Adam's root against mpmath."""

from fractions import Fraction as Exact

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step

numbers = st.integers(-1000, 1000).map(lambda n: n / 64)
histories = st.tuples(numbers, st.lists(numbers, min_size=1, max_size=5))

# A step is fewer than 20 operations on terms no larger than 1 + |p| + lr |g| and its like; five of
# them lose fewer than 100 unit roundoffs of the largest number in sight.
LOST = 100 * 2.0**-53


@given(history=histories)
def test_sgd_follows_the_rational_recurrence(history):
    start, grads = history
    lr, momentum, decay = 0.1, 0.9, 0.01
    p, b = np.asarray(start), None
    exact, buffer = Exact(start), None
    largest = 1.0
    for g in grads:
        p, b = sgd_step(p, np.asarray(g), b, lr=lr, momentum=momentum, weight_decay=decay)
        total = Exact(g) + Exact(decay) * exact
        buffer = total if buffer is None else Exact(momentum) * buffer + total
        exact -= Exact(lr) * buffer
        largest = max(largest, abs(float(exact)), abs(float(buffer)), abs(g))
        assert abs(Exact(float(p)) - exact) <= LOST * largest


@pytest.mark.parametrize(("step", "decoupled"), [(adam_step, False), (adamw_step, True)])
@given(history=histories)
def test_adam_follows_the_paper_at_fifty_digits(step, decoupled, history):
    start, grads = history
    lr, (beta1, beta2), eps, decay = 0.01, (0.9, 0.99), 1e-3, 0.1
    p, m, v = np.float64(start), np.float64(0), np.float64(0)
    with mpmath.workdps(50):
        exact, mean, square = mpmath.mpf(start), mpmath.mpf(0), mpmath.mpf(0)
        for t, g in enumerate(grads, start=1):
            options = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": decay}
            p, m, v = step(p, np.float64(g), m, v, t, **options)
            grad = mpmath.mpf(g) if decoupled else g + mpmath.mpf(decay) * exact
            if decoupled:
                exact -= mpmath.mpf(lr) * decay * exact
            mean = beta1 * mean + (1 - mpmath.mpf(beta1)) * grad
            square = beta2 * square + (1 - mpmath.mpf(beta2)) * grad**2
            corrected = mean / (1 - mpmath.mpf(beta1) ** t)
            root = mpmath.sqrt(square / (1 - mpmath.mpf(beta2) ** t))
            exact -= lr * corrected / (root + eps)
            # The corrections divide by 1 - beta^t >= 0.01, which costs two digits of the step.
            scale = 1 + abs(float(exact)) + abs(g)
            assert abs(mpmath.mpf(float(p)) - exact) <= 100 * LOST * scale
            assert abs(mpmath.mpf(float(v)) - square) <= 100 * LOST * scale**2


@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_adam_refuses_a_step_before_the_first(step):
    with pytest.raises(ValueError, match="step counts from 1"):
        step(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), 0)
