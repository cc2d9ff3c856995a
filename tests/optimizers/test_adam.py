"""Adam and AdamW: the moments, their correction, their maximum, and where the decay enters."""

from collections.abc import Callable
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
from tests.optimizers.history import History
from tests.optimizers.moments import Update
from tests.optimizers.paths import Model
from tests.optimizers.reference_history import ReferenceStep, State
from tests.optimizers.strategies import half_as_many, histories
from tests.optimizers.verify import verify

options_of_adamw = st.fixed_dictionaries(
    {
        "lr": learning_rates,
        "betas": st.tuples(betas, betas),
        "eps": epsilons,
        "weight_decay": weight_decays,
        "amsgrad": st.booleans(),
        "maximize": st.booleans(),
    }
)
options_of_adam = st.tuples(options_of_adamw, st.booleans()).map(
    lambda drawn: {**drawn[0], "decoupled_weight_decay": drawn[1]}
)
changes_of_adam = st.one_of(
    st.tuples(st.just("lr"), learning_rates),
    st.tuples(st.just("weight_decay"), weight_decays),
    st.tuples(st.just("betas"), st.tuples(betas, betas)),
    st.tuples(st.just("eps"), epsilons),
)


def kept(beta1: float, rounding: Rounding) -> float | Rounded:
    """What is left of beta1 after torch's `lerp`, which is handed 1 - beta1.

    Below 1/2 it gets beta1 back as 1 - (1 - beta1), with an error of half an ulp of 1.
    """
    if beta1 == 0 or beta1 >= 0.5:
        return beta1
    return Rounded(rounding, np.asarray(beta1), rounding.scalars.unit)


def anything_where(mask: Any, x: Any) -> Any:
    """The same, but where it may be anything."""
    if not isinstance(x, Rounded):  # there is no maximum
        return x
    return Rounded(x.rounding, x.value, np.where(mask, np.inf, x.bound))


def reference_step_of(component: str, step: Callable[..., Any]) -> ReferenceStep:
    def reference_step(state: State, grad: Any, update: Update, model: Model) -> State:
        beta1, beta2 = update.options["betas"]
        taken_off = kept(beta1, grad.rounding), beta2
        options = {**update.options, "betas": tuple(map(model.option, taken_off))}
        if options.get("decoupled_weight_decay", component == "adamw"):
            options["weight_decay"] = model.decay(options["weight_decay"])
        names = ("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        param, *averages = (state.get(name, np.zeros(grad.shape)) for name in names)
        number = model.step_number(update.step)
        after = step(param, grad, *averages[:2], number, averages[2], **options)
        found = dict(zip(names, after, strict=True))
        if model.squares_first:
            with np.errstate(all="ignore"):  # decoupled, the decay is not squared, and may be small
                size = np.abs(grad.value) + np.abs(update.options["weight_decay"] * param.value)
                overflows = 1.01 * size * size >= grad.rounding.compute.overflow
            for name in ("param", *names[2:]) if overflows.any() else ():
                found[name] = anything_where(overflows, found[name])
        return found if options["amsgrad"] else {name: found[name] for name in names[:3]}

    return reference_step


@pytest.mark.long
@half_as_many
@given(history=histories(options_of_adam, changes_of_adam))
def test_adam_histories_equal_the_reference(targets: Targets, history: History) -> None:
    reference_step = reference_step_of("adam", adam_step)
    verify("adam", targets, history, torch.optim.Adam, reference_step)


@pytest.mark.long
@half_as_many
@given(history=histories(options_of_adamw, changes_of_adam))
def test_adamw_histories_equal_the_reference(targets: Targets, history: History) -> None:
    reference_step = reference_step_of("adamw", adamw_step)
    verify("adamw", targets, history, torch.optim.AdamW, reference_step)
