"""What the harness costs: a comparison, the drawing of its cases, and a property in all.

A property is timed as it runs, with as many examples as the run's profile says. Its comparisons
share the time.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import SIZES, numbers
from tests.clipping.test_clip_grad_norm import (
    clip_cases,
    test_gradients_are_scaled_by_max_norm_over_their_norm,
)
from tests.harness.record import RECORD
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm_cases import batch_norm_cases
from tests.layers.dropout_cases import dropout_cases
from tests.layers.test_batch_norm import (
    test_batch_norm_its_gradients_and_its_statistics_equal_the_reference,
)
from tests.layers.test_dropout import (
    test_dropout_and_its_gradient_equal_the_reference_given_the_mask,
)
from tests.layers.test_linear import linear_cases, test_linear_and_its_gradients_equal_the_reference
from tests.layers.test_relu import relu_cases, test_relu_and_its_gradient_equal_the_reference
from tests.losses.cases import cross_entropy_cases
from tests.losses.regression import error_cases
from tests.losses.test_cross_entropy import (
    test_cross_entropy_and_its_gradients_equal_the_reference,
)
from tests.losses.test_mse_loss import test_mse_loss_and_its_gradients_equal_the_reference
from tests.optimizers.strategies import histories
from tests.optimizers.test_adam import (
    changes_of_adam,
    options_of_adam,
    test_adam_histories_equal_the_reference,
)
from tests.optimizers.test_sgd import (
    changes_of_sgd,
    options_of_sgd,
    test_sgd_histories_equal_the_reference,
)

PROPERTIES: dict[str, tuple[Callable[..., Any], SearchStrategy[Any]]] = {
    "linear": (test_linear_and_its_gradients_equal_the_reference, linear_cases()),
    "relu": (test_relu_and_its_gradient_equal_the_reference, relu_cases()),
    "batch_norm": (
        test_batch_norm_its_gradients_and_its_statistics_equal_the_reference,
        batch_norm_cases(),
    ),
    "dropout": (test_dropout_and_its_gradient_equal_the_reference_given_the_mask, dropout_cases()),
    "cross_entropy": (
        test_cross_entropy_and_its_gradients_equal_the_reference,
        cross_entropy_cases(),
    ),
    "mse_loss": (test_mse_loss_and_its_gradients_equal_the_reference, error_cases()),
    "clip_grad_norm": (test_gradients_are_scaled_by_max_norm_over_their_norm, clip_cases()),
    "sgd": (test_sgd_histories_equal_the_reference, histories(options_of_sgd, changes_of_sgd)),
    "adam": (test_adam_histories_equal_the_reference, histories(options_of_adam, changes_of_adam)),
}


@pytest.mark.parametrize("part", ["all", "drawing"])
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_comparison_of(timed: Timed, targets: Targets, name: str, part: str) -> None:
    prove, cases = PROPERTIES[name]
    prove(targets)
    count = sum(tally.examples for tally in RECORD.tallies.values())

    @given(cases)
    def draw(case: object) -> None:
        pass

    function = draw if part == "drawing" else lambda: prove(targets)
    timed(f"a comparison of {name}", part, settings().max_examples, function, per=count)


@pytest.mark.parametrize("size", SIZES)
def test_a_verdict(timed: Timed, targets: Targets, size: int) -> None:
    target = Target(targets.devices[0], "float32", "functional")
    x = numbers(size, size)
    got = torch.tensor(x, device=target.device)
    expected = Rounding.kernel("float32").array(x)
    timed("a verdict", "all", size, lambda: check("benchmark", "output", target, got, expected))
