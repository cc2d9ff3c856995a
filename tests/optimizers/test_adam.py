"""Adam and AdamW: the moments, their correction, and where the weight decay enters."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.adam import adam_step
from reference.adamw import adamw_step
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.hyperparameters import (
    betas,
    epsilons,
    learning_rates,
    weight_decays,
)
from tests.harness.targets import Targets
from tests.optimizers.history import History, State, histories, verify

options_of_adam = st.fixed_dictionaries(
    {
        "lr": learning_rates,
        "betas": st.tuples(betas, betas),
        "eps": epsilons,
        "weight_decay": weight_decays,
    }
)


def kept(beta1: float, rounding: Rounding) -> float | Rounded:
    """What is left of beta1 after torch's `lerp`, which is handed 1 - beta1.

    Below 1/2 it gets beta1 back as 1 - (1 - beta1), with an error of half an ulp of 1.
    """
    if beta1 == 0 or beta1 >= 0.5:
        return beta1
    return Rounded(rounding, np.asarray(beta1), rounding.scalars.unit)


@pytest.mark.parametrize(
    ("component", "optimizer", "step"),
    [("adam", torch.optim.Adam, adam_step), ("adamw", torch.optim.AdamW, adamw_step)],
    ids=["adam", "adamw"],
)
@given(history=histories(), options=options_of_adam)
def test_adam_histories_equal_the_reference(
    targets: Targets,
    component: str,
    optimizer: Callable[..., torch.optim.Optimizer],
    step: Callable[..., Any],
    history: History,
    options: dict[str, Any],
) -> None:
    zeros = np.zeros(history.params.shape)
    beta1, beta2 = options["betas"]

    def reference_step(state: State, grad: Any, number: int) -> State:
        moments = (state.get(name, zeros) for name in ("exp_avg", "exp_avg_sq"))
        tracked = {**options, "betas": (kept(beta1, grad.rounding), beta2)}
        after = step(state["param"], grad, *moments, number, **tracked)
        return dict(zip(("param", "exp_avg", "exp_avg_sq"), after[:3], strict=True))

    verify(component, targets, history, partial(optimizer, **options), reference_step)
