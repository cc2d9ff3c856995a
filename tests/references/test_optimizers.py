"""The optimizer steps, all options: exact rationals, fifty digits, derivatives by complex step."""

from fractions import Fraction as Exact
from functools import partial
from typing import Any

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


@given(
    history=histories,
    maximize=st.booleans(),
    variant=st.sampled_from(
        ((0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True))
    ),
)
def test_sgd_follows_the_rational_recurrence(history, maximize, variant):
    start, grads = history
    lr, decay, (momentum, dampening, nesterov) = 0.1, 0.01, variant
    options: dict[str, Any] = {
        "lr": lr,
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    p, b = np.asarray(start), None
    exact, buffer = Exact(start), None
    largest = 1.0
    for g in grads:
        p, b = sgd_step(p, np.asarray(g), b, **options)
        total = (-1 if maximize else 1) * Exact(g) + Exact(decay) * exact
        if buffer is None:
            buffer = total
        else:
            buffer = Exact(momentum) * buffer + (1 - Exact(dampening)) * total
        uphill = total if momentum == 0 else buffer
        exact -= Exact(lr) * (total + Exact(momentum) * buffer if nesterov else uphill)
        largest = max(largest, abs(float(exact)), abs(float(buffer)), abs(g))
        assert abs(Exact(float(p)) - exact) <= LOST * largest
        assert b is None or abs(Exact(float(b)) - buffer) <= LOST * largest


@pytest.mark.parametrize(
    ("step", "decoupled"),
    [
        (adam_step, False),
        (partial(adam_step, decoupled_weight_decay=True), True),
        (adamw_step, True),
    ],
    ids=["adam", "adam, decoupled", "adamw"],
)
@given(history=histories, amsgrad=st.booleans(), maximize=st.booleans())
def test_adam_follows_the_paper_at_fifty_digits(step, decoupled, history, amsgrad, maximize):
    start, grads = history
    lr, (beta1, beta2), eps, decay = 0.01, (0.9, 0.5), 1e-3, 0.1
    options: dict[str, Any] = {
        "lr": lr,
        "betas": (beta1, beta2),
        "eps": eps,
        "weight_decay": decay,
        "amsgrad": amsgrad,
        "maximize": maximize,
    }
    p, m, v, top = np.float64(start), np.float64(0), np.float64(0), None
    with mpmath.workdps(50):
        exact, mean, square, largest = (mpmath.mpf(x) for x in (start, 0, 0, 0))
        for t, g in enumerate(grads, start=1):
            p, m, v, top = step(p, np.float64(g), m, v, t, top, **options)
            grad = mpmath.mpf(-g if maximize else g)
            if decoupled:
                exact -= mpmath.mpf(lr) * decay * exact
            else:
                grad += mpmath.mpf(decay) * exact
            mean = beta1 * mean + (1 - mpmath.mpf(beta1)) * grad
            square = beta2 * square + (1 - mpmath.mpf(beta2)) * grad**2
            largest = max(largest, square)
            corrected = mean / (1 - mpmath.mpf(beta1) ** t)
            root = mpmath.sqrt((largest if amsgrad else square) / (1 - mpmath.mpf(beta2) ** t))
            exact -= lr * corrected / (root + eps)
            # The corrections divide by 1 - beta^t >= 0.1, which costs one digit of the step, and
            # the root of a small v loses half of the digits it has to lose to eps = 1e-3.
            scale = 1 + abs(float(exact)) + abs(g)
            assert abs(mpmath.mpf(float(p)) - exact) <= 100 * LOST * scale
            assert abs(mpmath.mpf(float(v)) - square) <= 100 * LOST * scale**2
            assert (top is None) == (not amsgrad)
            if top is not None:
                assert abs(mpmath.mpf(float(top)) - largest) <= 100 * LOST * scale**2


def test_amsgrad_remembers_the_largest_square() -> None:
    """By hand, with beta2 = 0: v is the last gradient's square, V the largest so far."""
    options: dict[str, Any] = {"lr": 1.0, "betas": (0.0, 0.0), "eps": 0.0}
    one = np.ones(1)
    p, m, v, top = adam_step(0 * one, 4 * one, 0 * one, 0 * one, 1, None, amsgrad=True, **options)
    assert [p, v, top] == [-1, 16, 16]
    p, m, v, top = adam_step(p, one, m, v, 2, top, amsgrad=True, **options)
    assert [p, v, top] == [-1.25, 1, 16]
    assert adam_step(-one, one, m, v, 2, **options)[0] == -2


def test_the_complex_step_passes_through_an_optimizer_step() -> None:
    """By hand, of p - lr (g + lambda p): -(g + lambda p), -lr p, -lr and 1 - lr lambda."""
    h = 1e-30
    given = {"param": 3.0, "grad": 5.0, "lr": 0.25, "weight_decay": 0.5}
    derivatives = {"lr": -6.5, "weight_decay": -0.75, "grad": -0.25, "param": 0.875}
    for name, expected in derivatives.items():
        values: dict[str, Any] = {**given, name: given[name] + 1j * h}
        param, grad = (np.asarray(values.pop(x)) for x in ("param", "grad"))
        assert sgd_step(param, grad, **values)[0].imag / h == expected


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"lr": -0.1}, "lr must be at least 0"),
    ({"lr": float("nan")}, "lr must be at least 0"),
    ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *REFUSED,
        ({"momentum": -0.1}, "momentum must be at least 0"),
        ({"nesterov": True}, "nesterov needs momentum"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs momentum"),
    ],
)
def test_sgd_refuses_hyperparameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        sgd_step(np.zeros(1), np.zeros(1), **{"lr": 0.1, **options})


@pytest.mark.parametrize("step", [adam_step, adamw_step])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        *REFUSED,
        ({"eps": -1e-8}, "eps must be at least 0"),
        ({"betas": (1.0, 0.9)}, r"betas must be in \[0, 1\)"),
        ({"betas": (0.9, -0.1)}, r"betas must be in \[0, 1\)"),
    ],
)
def test_adam_refuses_hyperparameters_out_of_range(step, options, message):
    zero = np.zeros(1)
    with pytest.raises(ValueError, match=message):
        step(zero, zero, zero, zero, 1, **options)


@pytest.mark.parametrize("step", [adam_step, adamw_step])
def test_adam_refuses_a_step_before_the_first(step):
    with pytest.raises(ValueError, match="step counts from 1"):
        step(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), 0)
