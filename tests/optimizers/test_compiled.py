"""A step under torch.compile, which turns the whole optimizer into one graph.

Compiling takes seconds, so one history of each optimizer stands for all. The default profile
compiles with `aot_eager`, which traces the step and runs torch's own kernels; `thorough` generates
code, where there is a compiler for it. A learning rate that changes must reach the graph.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.adam import adam_step
from reference.adamw import adamw_step
from tests.harness.doors import backend, compiles
from tests.harness.formats import FLOAT32
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, exactly
from tests.optimizers.events import AddGroup, Change, Step
from tests.optimizers.history import History, Parameter
from tests.optimizers.moments import Update
from tests.optimizers.paths import PATHS, Model
from tests.optimizers.reference_history import ReferenceStep, State
from tests.optimizers.strategies import histories
from tests.optimizers.test_adam import (
    changes_of_adam,
    options_of_adam,
    options_of_adamw,
    reference_step_of,
)
from tests.optimizers.test_sgd import changes_of_sgd, options_of_sgd, reference_step
from tests.optimizers.verify import verify

COMMON: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.01}
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": COMMON | {"momentum": 0.9, "dampening": 0.0, "nesterov": True},
    "adam": COMMON | {"betas": (0.9, 0.99), "amsgrad": True},
    "adamw": COMMON | {"betas": (0.9, 0.99), "amsgrad": False},
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
REFERENCES: dict[str, ReferenceStep] = {
    "sgd": reference_step,
    "adam": reference_step_of("adam", adam_step),
    "adamw": reference_step_of("adamw", adamw_step),
}


@compiles
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_step_equals_the_reference(targets: Targets, name: str) -> None:
    if "float32" not in targets.dtypes:
        pytest.skip("float32 is not asked for")
    numbers = FLOAT32.round(np.random.default_rng(0).standard_normal((4, 33)))
    for device in targets.devices:
        target = Target(device, "float32", "compiled")
        param = torch.tensor(numbers[0], dtype=torch.float32, device=device, requires_grad=True)
        opt = OPTIMIZERS[name]([param], foreach=False, **OPTIONS[name])
        torch.compiler.reset()
        step = torch.compile(opt.step, backend=backend())
        model = model_of(name, "capturable", device)  # in a graph the step count is a tensor
        state: State = {"param": model.rounding.array(numbers[0])}
        for number, grad in enumerate(numbers[1:], start=1):
            param.grad = torch.tensor(grad, dtype=torch.float32, device=device)
            opt.param_groups[0]["lr"] = lr = 0.1 if number < 3 else 0.05
            step()
            state = reference(name, model, state, grad, number, lr=lr)
            for output, want in state.items():
                got = param if output == "param" else opt.state[param][output]
                check(name, output, target, got, want)


def reference(name: str, model: Model, state: State, grad: Any, step: int, **changed: Any) -> State:
    """What is stored after a step."""
    update = Update(0, None, OPTIONS[name] | changed, step, first=step == 1)
    after = REFERENCES[name](state, model.rounding.array(grad), update, model)
    return {key: model.rounding.stored(x) for key, x in after.items()}


def model_of(name: str, path: str, device: str) -> Model:
    """How a step in float32 rounds."""
    return PATHS[path].model("float32", name != "sgd", name == "adamw", device)


def short(history: History) -> History:
    """Steps, changes of options and a group that joins: four events, of plain parameters.

    Each step is compiled anew; hooks, closures, schedulers and copies break up what is compiled.
    And generated code refuses gradients that come to lie otherwise than at first.
    """
    events = [e for e in history.events if isinstance(e, Step | Change | AddGroup)]
    return replace(
        history,
        parameters=tuple(Parameter(p.shape) for p in history.parameters),
        events=tuple(events[-4:]),
        mixed=True,
        lr_as_tensor=False,
    )


def without_scalars(history: History) -> History:
    """The same numbers in vectors of one: the ledger has what becomes of compiled scalars."""
    return replace(
        history, parameters=tuple(Parameter(p.shape or (1,)) for p in history.parameters)
    )


HISTORIES = {
    "sgd": histories(options_of_sgd, changes_of_sgd).map(short).map(without_scalars),
    "adam": histories(options_of_adam, changes_of_adam).map(short).map(without_scalars),
    "adamw": histories(options_of_adamw, changes_of_adam).map(short).map(without_scalars),
}


@compiles
@pytest.mark.long
@settings(max_examples=max(2, settings().max_examples // 25))
@given(name=st.sampled_from(tuple(OPTIMIZERS)), data=st.data())
def test_compiled_histories_equal_the_reference(
    targets: Targets, name: str, data: st.DataObject
) -> None:
    """For-loop and foreach, float64 and float32 in one optimizer; some, in the default profile."""
    history = data.draw(HISTORIES[name])
    verify(name, targets, history, OPTIMIZERS[name], REFERENCES[name], compiled=True)


@compiles
def test_compiled_sgd_takes_scalars(targets: Targets) -> None:
    """`compiled-sgd-refuses-scalars`: two of them, in two groups, from 1 by half a gradient."""
    if "float64" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("float64 on the CPU, where this fault is, is not asked for")
    params = [torch.ones((), dtype=torch.float64, requires_grad=True) for _ in range(2)]
    opt = torch.optim.SGD([{"params": [p]} for p in params], lr=0.5, momentum=0.5)
    for param in params:
        param.grad = torch.ones_like(param)
    torch.compiler.reset()
    with suppress(Exception):  # SpeculationLogDivergence, whose class is private
        torch.compile(opt.step, backend="aot_eager")()
    target = Target("cpu", "float64", "compiled")
    exactly("sgd compiled scalars", "param", target, params[0], 0.5)


@compiles
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_compiled_adam_moves_scalars(targets: Targets, name: str) -> None:
    """`compiled-adam-skips-scalars`: against its gradient."""
    if "float64" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("float64 on the CPU, where this fault is, is not asked for")
    param = torch.zeros((), dtype=torch.float64, requires_grad=True)
    opt = OPTIMIZERS[name]([param], lr=0.5, foreach=False)
    param.grad = -torch.ones_like(param)
    torch.compiler.reset()
    torch.compile(opt.step, backend="aot_eager")()
    target = Target("cpu", "float64", "compiled")
    exactly("adam compiled scalars", "direction", target, param.sign(), 1.0)
