"""`python -m tests.meta.cost`: what it measures, and beside what."""

from functools import partial

import pytest

from tests.harness.record import RECORD
from tests.meta.cost import Eager, cost, properties

COMPONENTS = (
    *("linear", "relu", "softplus", "batch_norm", "dropout", "log_softmax", "nll_loss"),
    *("cross_entropy", "mse_loss", "l1_loss", "sgd", "adam", "adamw"),
)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_is_measured(component: str) -> None:
    starts = f"{component}_and_its", f"{component}_its", f"{component}_histories"
    names = [name for name, *_ in properties("equal_the_reference")]
    assert sum(name.startswith(starts) for name in names) == 1


def test_torch_and_the_formulas_alone_take_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RECORD, "tallies", {})  # nothing of it is what this run has verified
    ((_, _, function),) = properties("relu_ordinarily")
    whole, torch_alone, formulas, comparisons = cost(partial(function, targets=Eager()))
    assert 0 < formulas < whole
    assert 0 < torch_alone < whole
    assert comparisons > 0
