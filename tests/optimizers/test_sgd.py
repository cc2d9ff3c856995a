"""SGD: plain, with momentum, with weight decay."""

from functools import partial
from typing import Any

import torch
from hypothesis import given

from reference.sgd import sgd_step
from tests.harness.strategies.hyperparameters import learning_rates, momenta, weight_decays
from tests.harness.targets import Targets
from tests.optimizers.history import History, State, histories, verify


@given(history=histories(), lr=learning_rates, momentum=momenta, weight_decay=weight_decays)
def test_sgd_histories_equal_the_reference(
    targets: Targets, history: History, lr: float, momentum: float, weight_decay: float
) -> None:
    options: dict[str, Any] = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}

    def reference_step(state: State, grad: Any, number: int) -> State:
        param, buffer = sgd_step(state["param"], grad, state.get("momentum_buffer"), **options)
        return {"param": param} if buffer is None else {"param": param, "momentum_buffer": buffer}

    verify("sgd", targets, history, partial(torch.optim.SGD, **options), reference_step)
