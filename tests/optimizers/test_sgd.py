"""SGD: with and without momentum, dampened, Nesterov's, with weight decay, uphill."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.sgd import sgd_step
from tests.harness.strategies.hyperparameters import (
    dampenings,
    learning_rates,
    momenta,
    weight_decays,
)
from tests.harness.targets import Targets
from tests.optimizers.history import History
from tests.optimizers.moments import Update
from tests.optimizers.paths import Model
from tests.optimizers.reference_history import State
from tests.optimizers.strategies import half_as_many, histories
from tests.optimizers.verify import verify

options_of_sgd = st.fixed_dictionaries(
    {
        "lr": learning_rates,
        "momentum": momenta,
        "dampening": dampenings,
        "weight_decay": weight_decays,
        "nesterov": st.booleans(),
        "maximize": st.booleans(),
    }
).map(
    lambda options: {
        **options,
        "dampening": 0.0 if options["nesterov"] else options["dampening"],
        "nesterov": options["nesterov"] and options["momentum"] > 0,
    }
)

changes_of_sgd = st.one_of(
    st.tuples(st.just("lr"), learning_rates),
    st.tuples(st.just("weight_decay"), weight_decays),
    st.tuples(st.just("momentum"), momenta.filter(lambda momentum: momentum > 0)),
)


def reference_step(state: State, grad: Any, update: Update, model: Model) -> State:
    buffer = None if update.first else state["momentum_buffer"]
    options = {**update.options, "dampening": model.option(update.options["dampening"])}
    param, buffer = sgd_step(state["param"], grad, buffer, **options)
    return {"param": param} if buffer is None else {"param": param, "momentum_buffer": buffer}


@pytest.mark.long
@half_as_many
@given(history=histories(options_of_sgd, changes_of_sgd))
def test_sgd_histories_equal_the_reference(targets: Targets, history: History) -> None:
    verify("sgd", targets, history, torch.optim.SGD, reference_step)
