"""No corner of gradient clipping is left out by accident: how often each option is drawn."""

from typing import Any

from tests.clipping.gradients import CONTAINERS, Gradients
from tests.clipping.test_clip_grad_norm import ClipCase, clip_cases
from tests.clipping.test_clip_grad_value import ValueCase, value_cases
from tests.meta.options import assert_all_are_drawn

INF = float("inf")
MAX_NORMS = {1.0, 0.125, 3.0, 100.0, 1e-3, 0.0, INF, -1.0}
CLIP_VALUES = {1.0, 0.125, 3.0, 0.1, 0.0, INF, -1.0}
VALUES = {
    "container": len(CONTAINERS),
    "another dtype": 5,
    "parameters": 4,
    "layout": 6,
    "dimensions": 6,
    "norm_type": 8,
    "max_norm": len(MAX_NORMS) + 1,
    "clip_value": len(CLIP_VALUES) + 1,
}


def options_of_gradients(gradients: Gradients) -> dict[str, set[Any]]:
    arrays = [array for array in gradients.arrays if array is not None]
    return {
        "container": {gradients.container},
        "another dtype": set(gradients.dtypes),
        "parameters": {len(gradients.arrays)},
        "missing": {None in gradients.arrays},
        "all missing": {not arrays},
        "two dtypes": {len(set(gradients.dtypes)) > 1},
        "layout": {array.layout for array in arrays},
        "dimensions": {len(array.shape) for array in arrays},
        "family": {array.values.family for array in arrays},
        "empty": {0 in array.shape for array in arrays},
        "special values": {bool(array.values.specials) for array in arrays},
    }


def options_of_norms(case: ClipCase) -> dict[str, set[Any]]:
    return {
        **options_of_gradients(case.gradients),
        "max_norm": {case.max_norm if case.max_norm in MAX_NORMS else "other"},
        "norm_type": {case.norm_type},
        "in two steps": {case.in_two_steps},
        "error_if_nonfinite": {case.error_if_nonfinite},
    }


def options_of_values(case: ValueCase) -> dict[str, set[Any]]:
    limit = case.clip_value
    return {
        **options_of_gradients(case.gradients),
        "clip_value": {limit if limit in CLIP_VALUES else "other"},
    }


def test_every_option_of_clipping_by_norm_is_drawn() -> None:
    assert_all_are_drawn(clip_cases(), options_of_norms, {**VALUES, "family": 6})


def test_every_option_of_clipping_by_value_is_drawn() -> None:
    assert_all_are_drawn(value_cases(), options_of_values, {**VALUES, "family": 6})
