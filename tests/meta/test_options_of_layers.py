"""No corner of Linear, ReLU and Softplus is left out: how often each option is drawn."""

from typing import Any

from tests.harness.strategies.layouts import LAYOUTS
from tests.layers.test_linear import NAMES, LinearCase, linear_cases
from tests.layers.test_relu import FORMS, ReluCase, relu_cases
from tests.layers.test_softplus import SoftplusCase, softplus_cases
from tests.meta.options import assert_all_are_drawn

FAMILIES = 6  # that `families` draws


def options_of_linear(case: LinearCase) -> dict[str, set[Any]]:
    arrays = {"input": case.input, "weight": case.weight, "grad_output": case.grad_output}
    if case.bias:
        arrays["bias"] = case.bias
    return {
        **{f"layout of {name}": {array.layout} for name, array in arrays.items()},
        **{f"{name} has special values": {bool(a.values.specials)} for name, a in arrays.items()},
        "family": {case.input.values.family},
        "dimensions": {len(case.input.shape)},
        "bias": {case.bias is not None},
        "no in_features": {case.weight.shape[1] == 0},
        "no out_features": {case.weight.shape[0] == 0},
        "no rows": {0 in case.input.shape[:-1]},
        "bias without in_features": {case.weight.shape[1] == 0 and case.bias is not None},
        "vector": {case.vector},
        "frozen": set(case.frozen) or {"nothing"},
        "all frozen": {
            (case.frozen >= {"input", "weight"} and not case.bias) or len(case.frozen) == 3
        },
    }


def options_of_arrays(case: ReluCase | SoftplusCase) -> dict[str, set[Any]]:
    """What functions of single elements have in common."""
    return {
        "dimensions": {len(case.input.shape)},
        "empty": {0 in case.input.shape},
        "family": {case.input.values.family},
        "layout of input": {case.input.layout},
        "layout of grad_output": {case.grad_output.layout},
        "special value": {kind for _, kind in case.input.values.specials} or {"none"},
    }


def options_of_relu(case: ReluCase) -> dict[str, set[Any]]:
    threshold, value = case.bend
    return {
        "form": {case.form},
        **options_of_arrays(case),
        "special value comes back": {kind for _, kind in case.grad_output.values.specials}
        or {"none"},
        "threshold": {threshold},
        "value": {value},
    }


def options_of_softplus(case: SoftplusCase) -> dict[str, set[Any]]:
    return {
        "beta": {case.beta},
        "threshold": {case.threshold},
        **options_of_arrays(case),
    }


OF_ARRAYS = {
    "dimensions": 6,
    "family": FAMILIES,
    "layout of input": len(LAYOUTS),
    "layout of grad_output": len(LAYOUTS),
    "special value": 8,
}


def test_every_option_of_linear_is_drawn() -> None:
    values = {
        "layout of input": len(LAYOUTS),
        "layout of grad_output": len(LAYOUTS),
        "layout of weight": len(LAYOUTS) - 2,
        "layout of bias": len(LAYOUTS) - 3,
        "family": FAMILIES,
        "dimensions": 5,
        "frozen": len(NAMES) + 1,
    }
    assert_all_are_drawn(linear_cases(), options_of_linear, values)


def test_every_option_of_relu_is_drawn() -> None:
    values = {
        "form": len(FORMS),
        **OF_ARRAYS,
        "special value comes back": 8,
        "threshold": 5,
        "value": 5,
    }
    assert_all_are_drawn(relu_cases(), options_of_relu, values)


def test_every_option_of_softplus_is_drawn() -> None:
    values = {
        "beta": 5,
        "threshold": 5,
        **OF_ARRAYS,
    }
    assert_all_are_drawn(softplus_cases(), options_of_softplus, values)
