"""The optimizer steps, all options: each step against exact rationals, or fifty digits.

A history begins as an optimizer does, and goes on from the rounded state that a step has left. So
each step is held to its own few roundings, and no error is covered by those of the steps before.
"""

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
from tests.references.proofs import DIGITS, exactly, within

numbers = st.integers(-1000, 1000).map(lambda n: n / 64)
histories = st.tuples(numbers, st.lists(numbers, min_size=1, max_size=5))
rates = st.sampled_from((0.1, 1e-3, 0.0)) | st.floats(1e-6, 1)
decays = st.sampled_from((0.0, 0.01, 0.25)) | st.floats(1e-6, 1)

of_sgd = st.fixed_dictionaries(
    {
        "lr": rates,
        "weight_decay": decays,
        "maximize": st.booleans(),
        "momentum": st.sampled_from((0.0, 0.9, 1.0)) | st.floats(1e-6, 1),
        "dampening": st.sampled_from((0.0, 0.3, 1.0)),
        "nesterov": st.booleans(),
    }
).map(lambda o: {**o, "nesterov": o["nesterov"] and o["momentum"] > 0 and o["dampening"] == 0})


@given(history=histories, options=of_sgd)
def test_sgd_follows_the_rational_recurrence(history, options):
    """Each of fewer than ten operations on a sum adds a rounding of its terms."""
    start, grads = history
    p, b = np.asarray(start), None
    lr, decay, mu, tau = exactly(
        *(options[k] for k in ("lr", "weight_decay", "momentum", "dampening"))
    )
    for t, g in enumerate(grads):
        (before,), (buffer,) = exactly(p), exactly(b or 0.0)
        p, b = sgd_step(p, np.asarray(g), b, **options)
        (grad,) = exactly(-g if options["maximize"] else g)
        terms = [grad, decay * before]
        if mu:
            terms = [mu * buffer, *((1 - tau) * x for x in terms)] if t else terms
            within(b, sum(terms), 10, sum(map(abs, terms)))
            if options["nesterov"]:
                terms = [grad, decay * before, *(mu * x for x in terms)]
        else:
            assert b is None
        terms = [before, *(-lr * x for x in terms)]
        within(p, sum(terms), 10, sum(map(abs, terms)))


betas = st.sampled_from((0.9, 0.999, 0.0)) | st.floats(1e-6, 0.9999)
of_adam = st.fixed_dictionaries(
    {
        "lr": rates,
        "betas": st.tuples(betas, betas),
        "amsgrad": st.booleans(),
        "maximize": st.booleans(),
        "eps": st.sampled_from((1e-8, 1e-3)) | st.floats(1e-8, 1),
        "weight_decay": st.sampled_from((0.0, 0.25, 2.0**-7)),  # so that only its sum is rounded
    }
)


@pytest.mark.parametrize(
    ("step", "decoupled"),
    [
        (adam_step, False),
        (partial(adam_step, decoupled_weight_decay=True), True),
        (adamw_step, True),
    ],
    ids=["adam", "adam, decoupled", "adamw"],
)
@given(history=histories, first=st.sampled_from((1, 2, 1000)), options=of_adam)
def test_adam_follows_the_paper_at_fifty_digits(step, decoupled, history, first, options):
    """A quotient of two sums is off by the roundings of either.

    v is a sum of positive terms, and so is the denominator, for which a rounding is a share of the
    whole. Where beta^t is near 1, what is left of 1 - beta^t is off by 1 / (1 - beta^t) roundings.
    """
    start, grads = history
    p, m, v, top = np.float64(start), np.float64(0), np.float64(0), None
    with mpmath.workdps(DIGITS):
        lr, decay, eps, beta1, beta2 = (
            mpmath.mpf(x)
            for x in (options["lr"], options["weight_decay"], options["eps"], *options["betas"])
        )
        for t, g in enumerate(grads, start=first):
            before, mean, square, largest = (mpmath.mpf(float(x or 0.0)) for x in (p, m, v, top))
            p, m, v, top = step(p, np.float64(g), m, v, t, top, **options)
            grad = mpmath.mpf(-g if options["maximize"] else g)
            if decoupled:
                before *= 1 - lr * decay
            else:
                grad += decay * before
            terms = beta1 * mean, (1 - beta1) * grad
            mean, size = sum(terms), sum(map(abs, terms))
            square = beta2 * square + (1 - beta2) * grad**2
            largest = max(largest, square)
            within(m, mean, 6, size)
            within(v, square, 8)
            assert (top is None) == (not options["amsgrad"])
            if top is not None:
                within(top, largest, 8)
            left1, left2 = 1 - beta1**t, 1 - beta2**t
            denominator = mpmath.sqrt((largest if options["amsgrad"] else square) / left2) + eps
            rate = lr / left1 / denominator
            roundings = 30 * (1 / left1 + 1 / left2)
            within(p, before - rate * mean, roundings, abs(before) + rate * size)


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
