"""No corner of the losses is left out by accident: how often each option is drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.harness.strategies.arrays import DrawnArray
from tests.harness.strategies.layouts import LAYOUTS
from tests.losses.cases import (
    CrossEntropyCase,
    LabelCase,
    class_count,
    cross_entropy_cases,
    label_cases,
)
from tests.losses.regression import ErrorCase, error_cases
from tests.losses.test_log_softmax import LogSoftmaxCase, log_softmax_cases
from tests.meta.options import assert_all_are_drawn
from tests.second_order.test_mse_loss import MovingErrors, moving_errors

SMOOTHINGS = {0.0, 0.1, 0.5, 1.0}
VALUES = {
    "layout": len(LAYOUTS),
    "layout of labels": 6,  # they have four dimensions at most
    "family": 6,
    "dimensions": 5,
    "dimensions or none": 6,
    "dim": 10,
    "reduction": 3,
    "reduction, weighted": 6,
    "ignore_index": 4,
    "ignored": 3,
    "label_smoothing": len(SMOOTHINGS) + 1,
    "smoothed, soft, reduction": 12,
    "frozen": 3,
}


def options_of_array(array: DrawnArray) -> dict[str, set[Any]]:
    kinds = {kind for _, kind in array.values.specials}
    return {
        "layout": {array.layout},
        "family": {array.values.family},
        "dimensions": {len(array.shape)},
        "empty": {0 in array.shape},
        "long": {max(array.shape, default=0) >= 255},
        "special values": {bool(kinds)},
        "negative infinity": {"negative infinity" in kinds},
        "largest": {"largest" in kinds},
    }


def options_of_labels(case: LabelCase | CrossEntropyCase, labels: Any) -> dict[str, set[Any]]:
    index, classes = case.options["ignore_index"], class_count(case.input.shape)
    ignored = np.mean(labels.numbers == index) if labels.numbers.size else 0.0
    return {
        "ignore_index": {index if index < 0 else index < classes},
        "layout of labels": {labels.layout},
        "ignored": {"none" if ignored == 0 else "all" if ignored == 1 else "some"},
        "all ignored, averaged": {ignored == 1 and case.options["reduction"] == "mean"},
        "one class": {classes == 1},
    }


def options_of_nll_loss(case: LabelCase) -> dict[str, set[Any]]:
    return {
        **options_of_array(case.input),
        **options_of_labels(case, case.target),
        "reduction, weighted": {(case.reduction, case.weight is not None)},
    }


def options_of_cross_entropy(case: CrossEntropyCase) -> dict[str, set[Any]]:
    smoothing, reduction = case.options["label_smoothing"], case.options["reduction"]
    options = {
        **options_of_array(case.input),
        "reduction, weighted": {(reduction, case.weight is not None)},
        "label_smoothing": {smoothing if smoothing in SMOOTHINGS else "other"},
        "smoothed, soft, reduction": {(smoothing > 0, case.soft, reduction)},
    }
    if case.soft:
        return options | {"frozen": {case.frozen}}
    return options | options_of_labels(case, case.target)


def options_of_log_softmax(case: LogSoftmaxCase) -> dict[str, set[Any]]:
    return {**options_of_array(case.input), "dim": {case.dim}}


def options_of_errors(case: ErrorCase) -> dict[str, set[Any]]:
    options = options_of_array(case.input)
    options["dimensions or none"] = options.pop("dimensions")
    return {
        **options,
        "reduction, weighted": {(case.reduction, case.weight is not None)},
        "frozen": {case.frozen},
    }


def options_of_moving_errors(case: MovingErrors) -> dict[str, set[Any]]:
    shape = case.errors.inputs["input"].shape
    return {
        "dimensions or none": {len(shape)},
        "reduction": {case.reduction},
        "empty": {0 in shape},
    }


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        (cross_entropy_cases(), options_of_cross_entropy),
        (label_cases(), options_of_nll_loss),
        (log_softmax_cases(), options_of_log_softmax),
        (error_cases(), options_of_errors),
        (moving_errors(), options_of_moving_errors),
    ],
    ids=["cross-entropy", "nll_loss", "log_softmax", "mse_loss and l1_loss", "mse_loss moving"],
)
def test_every_option_of_the_losses_is_drawn(
    strategy: st.SearchStrategy[Any], options: Callable[[Any], dict[str, set[Any]]]
) -> None:
    assert_all_are_drawn(strategy, options, VALUES)
