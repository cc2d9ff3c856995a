"""No corner of BatchNorm and dropout is left out by accident: how often each option is drawn."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.harness.strategies.layouts import LAYOUTS
from tests.layers.batch_norm_cases import BatchNormCase, batch_norm_cases
from tests.layers.dropout_cases import LAYERS, DropoutCase, dropout_cases
from tests.layers.test_batch_norm_history import BatchNormHistory, histories
from tests.meta.options import assert_all_are_drawn

VALUES = {
    "dimensions": 4,
    "layout": len(LAYOUTS),
    "family": 6,
    "values per channel": 3,  # none, one, more
    "affine": 4,
    "tracked, training": 4,
    "momentum": 3,
    "momentum or none": 4,
    "eps": 3,
    "frozen": 4,
    "steps": 4,
    "p": 3,
    "name": len(LAYERS),
    "batched": 7,
}
"""How many values an option has, where they are not two."""


def options_of_one_batch(case: BatchNormCase) -> dict[str, object]:
    rows, _, *positions = case.input.shape
    count = math.prod((rows, *positions))
    return {
        "dimensions": len(case.input.shape),
        "layout": case.input.layout,
        "family": case.input.values.family,
        "special values": bool(case.input.values.specials),
        "values per channel": min(count, 2),
        "affine": (case.weight is not None, case.bias is not None),
        "tracked, training": (case.running is not None, case.training),
        "momentum": case.momentum if case.momentum in {0.0, 1.0} else "other",
        "eps": case.eps if case.eps in {1e-5, 1e-8} else "other",
        "mixed": case.mixed,
        "frozen": case.frozen,
        "strided weight": case.weight is not None and case.weight.layout == "strided",
        "empty, tracked, training": count == 0 and case.running is not None and case.training,
    }


def options_of_a_history(history: BatchNormHistory) -> dict[str, object]:
    actions = [action for action, _ in history.steps]
    momentum = history.momentum
    return {
        "steps": len(actions),
        "dimensions": len(history.steps[0][1].shape),
        "momentum or none": momentum if momentum in {None, 0.0, 1.0} else "other",
        "tracks": history.tracks,
        "mixed": history.mixed,
        "several batches averaged": momentum is None and actions.count("train") > 1,
        "evaluated after training": ("train", "evaluate") in pairwise(actions),
        "trained after a reset": ("reset", "train") in pairwise(actions),
    }


def options_of_dropout(case: DropoutCase) -> dict[str, object]:
    return {
        "name": case.name,
        "p": case.p if case.p in {0.0, 1.0} else "other",
        "training": case.training,
        "inplace": case.inplace,
        "layout": case.input.layout,
        "batched": (case.name, len(case.input.shape) == LAYERS[case.name][2][1]),
    }


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        (batch_norm_cases(), options_of_one_batch),
        (histories(), options_of_a_history),
        (dropout_cases(), options_of_dropout),
    ],
    ids=["one batch", "history", "dropout"],
)
def test_every_value_of_every_option_is_drawn_often_enough(
    strategy: st.SearchStrategy[Any], options: Callable[[Any], dict[str, object]]
) -> None:
    def occurring(case: Any) -> dict[str, set[object]]:
        return {option: {value} for option, value in options(case).items()}

    assert_all_are_drawn(strategy, occurring, VALUES)
