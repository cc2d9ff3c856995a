"""Needles: corners that the strategies must reach in one default run, and shrink to what matters.

Each stands for a fault that shows only there. Nearly every run of the default profile finds it,
whatever the seed; and the case that is left when Hypothesis has shrunk it has nothing in it that
the fault does not need: `minimal` says what that is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.harness.profiles import EXAMPLES
from tests.harness.strategies.arrays import DrawnArray
from tests.layers.dropout_cases import dropout_cases
from tests.layers.test_linear import linear_cases
from tests.layers.test_relu import relu_cases
from tests.losses.cases import cross_entropy_cases, label_cases, rows_of
from tests.losses.test_log_softmax import log_softmax_cases
from tests.optimizers.events import Step
from tests.optimizers.history import History
from tests.optimizers.strategies import histories
from tests.optimizers.test_sgd import changes_of_sgd, options_of_sgd

Predicate = Callable[[Any], bool]
RUNS, AT_LEAST = 10, 8
"""Of so many runs so many find it: a needle in one example of 20 is missed by one run in 13."""


@dataclass(frozen=True)
class Needle:
    """A corner of a component's cases, and the least that a case in it can be."""

    cases: st.SearchStrategy[Any]
    shows: Predicate
    minimal: Predicate


def numbers(array: DrawnArray) -> np.ndarray:
    return array.numbers("float32")


def ends_in(array: DrawnArray, number: float) -> bool:
    return array.values.size > 0 and repr(float(numbers(array).flat[-1])) == repr(number)


def plain(array: DrawnArray, *shape: int, but: int = 0) -> bool:
    """Of this shape, contiguous, and zero but for so many elements."""
    not_zero = (numbers(array) != 0) | np.signbit(numbers(array))
    return (array.shape, array.layout, not_zero.sum()) == (shape, "contiguous", but)


# Linear


def columns(case: Any) -> bool:
    return case.weight.shape[1] == 17


def one_row(case: Any) -> bool:
    """Through a layer of one output, without bias, in which nothing is frozen."""
    return (
        plain(case.input, 17)
        and plain(case.weight, 1, 17)
        and plain(case.grad_output, 1)
        and not (case.bias or case.frozen or case.vector)
    )


def gaps(case: Any) -> bool:
    return case.weight.layout == "strided" and case.weight.values.size > 1


def two_weights(case: Any) -> bool:
    """One output of two inputs, or two of one."""
    sizes = [case.input.values.size, case.weight.values.size, case.grad_output.values.size]
    return sorted(sizes) == [1, 2, 2] and not (case.bias or case.frozen)


# ReLU


def of_one(input: str, grad_output: str) -> Predicate:
    """A case of two numbers, in their Python form."""
    return lambda case: (
        case.form == "relu"
        and case.input.shape == ()
        and repr(float(numbers(case.input))) == input
        and repr(float(numbers(case.grad_output))) == grad_output
    )


LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)


def largest(case: Any) -> bool:
    return bool((np.abs(numbers(case.input)) == LARGEST).any())


def subnormal(case: Any) -> bool:
    sizes = np.abs(numbers(case.input))
    return bool(((sizes > 0) & (sizes < np.finfo(np.float32).tiny)).any())


# The losses


def tie(case: Any) -> bool:
    """Of the two largest scores of a row."""
    scores = numbers(case.input)
    best = np.sort(np.moveaxis(scores, int(scores.ndim > 1), -1))[..., -2:]
    return best.shape[-1] == 2 and bool((best[..., 0] == best[..., 1]).any())


def nan_in_one_row(case: Any) -> bool:
    rows = np.isnan(numbers(case.input)).any(axis=case.dim)
    return rows.size > 1 and rows.sum() == 1


def all_ignored(case: Any) -> bool:
    return case.target.numbers.size > 1 and bool((case.target.numbers == case.ignore_index).all())


def weight_of_zero(case: Any) -> bool:
    return case.weight is not None and not numbers(case.weight).any()


def many_rows(case: Any) -> bool:
    return math.prod(rows_of(case.input.shape)) > 64


def plain_labels(rows: int, classes: int = 1) -> Predicate:
    """So many rows of zeros, unweighted, unsmoothed and not reduced."""
    return lambda case: (
        plain(case.input, rows, classes) and not case.weight and case.options["reduction"] == "none"
    )


# Optimizers


def steps(history: History) -> list[Step]:
    return [event for event in history.events if isinstance(event, Step)]


def scalars(count: int, empty: int = 0, at_most: int = 1) -> Predicate:
    """So many 0-d parameters and empty ones, of any shape; steps that are alike, nothing else."""
    return lambda history: (
        [math.prod(p.shape) for p in history.parameters] == count * [1] + empty * [0]
        and all(p.shape == () for p in history.parameters[:count])
        and {p.layout for p in history.parameters} == {"contiguous"}
        and len(history.events) <= at_most
        and len(set(map(repr, steps(history)))) == 1
        and not numbers(history.start).any()
    )


def empty_beside_another(history: History) -> bool:
    sizes = {math.prod(parameter.shape) > 0 for parameter in history.parameters}
    return sizes == {True, False}


of_sgd = histories(options_of_sgd, changes_of_sgd)
NEEDLES = {
    "a dimension of exactly 17": Needle(linear_cases(), columns, one_row),
    "gaps between the weights": Needle(linear_cases(), gaps, two_weights),
    "the last element is -0.0": Needle(
        relu_cases(), lambda case: ends_in(case.input, -0.0), of_one("-0.0", "0.0")
    ),
    "the last gradient is NaN": Needle(
        relu_cases(), lambda case: ends_in(case.grad_output, math.nan), of_one("0.0", "nan")
    ),
    "the largest finite number": Needle(relu_cases(), largest, of_one(repr(LARGEST), "0.0")),
    "a subnormal number": Needle(relu_cases(), subnormal, of_one(repr(SMALLEST), "0.0")),
    "two logits tie": Needle(cross_entropy_cases(), tie, plain_labels(1, 2)),
    "NaN in one row of several": Needle(
        log_softmax_cases(),
        nan_in_one_row,
        lambda case: case.input.values.size == 2 and plain(case.grad_output, *case.input.shape),
    ),
    "all of several rows ignored": Needle(label_cases(), all_ignored, plain_labels(2)),
    "a weight of zero for all": Needle(
        label_cases(), weight_of_zero, lambda case: plain(case.input, 1, 1)
    ),
    "more than 64 rows": Needle(
        label_cases(), many_rows, lambda case: math.prod(rows_of(case.input.shape)) <= 75
    ),
    "everything dropped": Needle(
        dropout_cases(),
        lambda case: case.p == 1 and case.training and case.input.values.size > 0,
        lambda case: case.name == "dropout" and plain(case.input) and not case.inplace,
    ),
    "the 11th step": Needle(of_sgd, lambda h: len(steps(h)) >= 11, scalars(1, at_most=12)),
    "an empty parameter beside another": Needle(of_sgd, empty_beside_another, scalars(1, empty=1)),
    "a second group": Needle(of_sgd, lambda h: len(h.groups) > 1, scalars(2)),
}
default = settings(
    max_examples=EXAMPLES["default"],
    backend="independent",
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", NEEDLES)
def test_a_needle_is_found_by_nearly_every_default_run(name: str) -> None:
    needle = NEEDLES[name]
    missed = 0
    for seed in range(RUNS):
        try:
            once = settings(default, phases=[Phase.generate])
            find(needle.cases, needle.shows, settings=once, random=Random(seed))
        except NoSuchExample:
            missed += 1
    assert RUNS - missed >= AT_LEAST


@pytest.mark.parametrize("name", NEEDLES)
def test_a_needle_is_shrunk_to_what_it_needs(name: str) -> None:
    """From the first example that has it, however many it takes to find one."""
    needle = NEEDLES[name]
    enough = settings(default, max_examples=1000)
    shrunk = find(needle.cases, needle.shows, settings=enough, random=Random(0))
    assert needle.minimal(shrunk), shrunk
