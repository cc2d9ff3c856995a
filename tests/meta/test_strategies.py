"""What the strategies draw: how often each kind of case, in which layout, at what cost."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import LAYOUTS, everything
from tests.harness.strategies.shapes import BOUNDARIES, shapes, sides
from tests.harness.strategies.values import FAMILIES, families
from tests.harness.targets import Target
from tests.layers.test_linear import LinearCase, linear_cases
from tests.layers.test_relu import ReluCase, relu_cases
from tests.meta.options import drawn

CPU = Target("cpu", "float32", "functional")
matrices = st.tuples(sides(17), sides(17)).flatmap(lambda shape: arrays(shape, "uniform"))


def share(examples: list[Any], predicate: Callable[[Any], bool]) -> float:
    return sum(map(predicate, examples)) / len(examples)


# How often


def test_sides_are_mostly_small_sometimes_empty_and_often_at_a_boundary() -> None:
    counts = Counter(drawn(sides(), 2000))
    assert 0.01 <= counts[0] / 2000 <= 0.06
    assert 0.5 <= sum(counts[side] for side in range(1, 7)) / 2000 <= 0.7
    assert all(counts[side] >= 0.01 * 2000 for side in BOUNDARIES)
    assert counts[17] >= 0.03 * 2000


def test_shapes_of_every_number_of_dimensions_and_empty_ones_are_drawn() -> None:
    examples = drawn(shapes())
    dims = Counter(len(shape) for shape in examples)
    assert set(dims) == set(range(5))
    assert min(dims.values()) >= 0.05 * len(examples)
    assert 0.02 <= share(examples, lambda shape: 0 in shape) <= 0.2


def test_each_layout_and_family_has_its_share() -> None:
    shapes_and_families = st.tuples(st.sampled_from(((3, 2, 1, 2), (3, 2, 1, 1, 2))), families)
    examples: list[DrawnArray] = drawn(shapes_and_families.flatmap(lambda x: arrays(*x)))
    layouts = Counter(array.layout for array in examples)
    assert set(layouts) == set(LAYOUTS)
    assert min(layouts.values()) >= 0.03 * len(examples)
    kinds = Counter(array.values.family for array in examples)
    assert min(kinds.values()) >= 0.03 * len(examples)


@pytest.mark.parametrize("dims", range(6))
def test_a_layout_is_drawn_where_it_differs(dims: int) -> None:
    tensor = torch.zeros((3,) * dims)
    layouts = {array.layout for array in drawn(arrays(tensor.shape, "integers"), 100)}
    for name, layout in LAYOUTS.items():
        memory, usual = (
            (x.stride(), x.untyped_storage().nbytes()) for x in (layout(tensor), tensor)
        )
        assert (name in layouts) == (name == "contiguous" or memory != usual), name


def test_most_linear_cases_have_an_output_and_some_have_none() -> None:
    cases: list[LinearCase] = drawn(linear_cases())
    empty = share(cases, lambda case: 0 in case.grad_output.shape)
    assert 0.02 <= empty <= 0.2
    assert share(cases, lambda case: case.bias is not None) >= 0.2
    assert share(cases, lambda case: case.input.shape[-1] == 17) >= 0.02
    assert share(cases, lambda case: case.input.values.family in {"integers", "dyadic"}) >= 0.2


def test_most_arrays_of_relu_have_special_values() -> None:
    cases: list[ReluCase] = drawn(relu_cases())
    assert 0.6 <= share(cases, lambda case: bool(case.input.values.specials)) <= 0.9
    kinds = Counter(kind for case in cases for _, kind in case.input.values.specials)
    assert min(kinds.values()) >= 0.01 * len(cases)


# What the numbers are


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", FORMATS)
def test_every_number_is_one_of_the_dtype(family: str, dtype: str) -> None:
    for array in drawn(arrays((40,), family), 30):
        assert FORMATS[dtype].holds(array.numbers(dtype)).all()


@pytest.mark.parametrize("family", ["uniform", "offset", "wide", "extreme"])
def test_the_numbers_of_a_large_array_differ(family: str) -> None:
    simplest, *others = drawn(arrays((17, 17), family, layout="contiguous", special=0), 30)
    assert len(np.unique(simplest.numbers("float64"))) == 1
    for array in others:
        assert len(np.unique(array.numbers("float64"))) > 0.9 * 17 * 17


# Layouts


@given(matrices)
def test_every_layout_holds_the_same_numbers(array: DrawnArray) -> None:
    numbers = array.numbers("float32")
    assert np.array_equal(array.tensor(CPU).double().numpy(), numbers, equal_nan=True)


@pytest.mark.parametrize("layout", ["strided", "padded"])
def test_what_lies_between_the_elements_is_nan(layout: str) -> None:
    tensor = LAYOUTS[layout](torch.ones(3, 4))
    memory = everything(tensor)
    assert memory.isnan().sum() == memory.numel() - 12 > 0


def test_an_expanded_row_lies_in_memory_once() -> None:
    for array in drawn(arrays((3, 4), "uniform", layout="expanded"), 10):
        assert array.tensor(CPU).stride() == (0, 1)


# What they cost


@given(linear_cases() | relu_cases())
@settings(suppress_health_check=[])
def test_cases_are_cheap_to_draw(case: LinearCase | ReluCase) -> None:
    """Hypothesis itself complains where cases are slow, large or mostly refused."""
