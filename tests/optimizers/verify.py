"""torch and the reference live through the same history, and must agree after every step."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import torch

from tests.harness.rounded import Rounded
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.optimizers.events import Step
from tests.optimizers.history import History
from tests.optimizers.invariants import BUFFERS, check_structure, check_surroundings
from tests.optimizers.known_faults import fused_sgd_stops, rate_of_zero_is_nan
from tests.optimizers.life import Life
from tests.optimizers.moments import Moment, Update, moments
from tests.optimizers.paths import PATHS, Model, paths_of
from tests.optimizers.script import script

State = dict[str, Any]  # "param" and the optimizer's buffers, all parameters in one vector
ReferenceStep = Callable[[State, Any, Update, Model], State]


def verify(
    component: str,
    targets: Targets,
    history: History,
    optimizer: type[torch.optim.Optimizer],
    reference_step: ReferenceStep,
) -> None:
    """Every path, in each dtype; mixed histories have all dtypes in one optimizer."""
    structure = moments(history)
    _, options = history.groups[0]
    adam, decoupled = (
        component != "sgd",
        options.get("decoupled_weight_decay", component == "adamw"),
    )

    @cache
    def evaluated(model: Model) -> list[State]:
        return list(reference_history(model, history, structure, reference_step))

    for device in targets.devices:
        for path in paths_of(optimizer, device):
            way = PATHS[path]
            dtypes = [dtype for dtype in targets.dtypes if way.takes(dtype)]
            for taken in [dtypes] if history.mixed and dtypes else [[dtype] for dtype in dtypes]:
                expected = {d: evaluated(way.model(d, adam, decoupled)) for d in taken}
                try:
                    life = Life(component, optimizer, history, device, path, taken)
                    compare(life, structure, expected)
                except Exception as error:
                    error.add_note(script(component, history, path, taken))
                    raise


def reference_history(
    model: Model, history: History, structure: list[Moment], reference_step: ReferenceStep
) -> Iterable[State]:
    """The state after each event."""
    rounding = model.rounding
    state: State = {"param": rounding.array(history.starts(model.dtype))}
    zeros = np.zeros(history.start.shape)
    finite = np.ones(history.start.shape, dtype=bool)  # so far, and surely
    complex_ones = any(parameter.is_complex for parameter in history.parameters)
    for event, moment in zip(history.events, structure, strict=True):
        if isinstance(event, Step):
            grad = rounding.array(history.accumulated(event, model.dtype))
            before = state
            for update in moment.updates:
                after = reference_step(before, grad, update, model)
                for name, x in after.items():
                    if x is before.get(name):
                        continue
                    new: Any = rounding.stored(x)
                    if update.where is not None:
                        new = np.where(update.where, new, state.get(name, rounding.array(zeros)))
                    state = {**state, name: new}
                    if complex_ones:
                        finite = finite & np.isfinite(new.value) & np.isfinite(new.bound)
        yield {**state, "finite": finite}


def compare(life: Life, structure: list[Moment], expected: dict[str, list[State]]) -> None:
    """One output of all members of one dtype at a time, end to end."""
    blocks: dict[tuple[str, bool], list[int]] = {}
    for k, member in enumerate(life.members):
        blocks.setdefault((member.target.dtype, member.is_complex), []).append(k)
    for number, (event, moment) in enumerate(zip(life.history.events, structure, strict=True)):
        if fused_sgd_stops(life, moment) or rate_of_zero_is_nan(life, moment):
            break
        life.live(event, moment)
        check_structure(life, moment)
        if not isinstance(event, Step):
            continue
        for (dtype, _), block in blocks.items():
            state = expected[dtype][number]
            stepped = [k for k in block if moment.steps[life.members[k].i] > 0]
            for name in [name for name in ("param", *BUFFERS) if name in state]:
                members = block if name == "param" else stepped
                if name == "momentum_buffer":
                    members = [k for k in stepped if moment.buffers[life.members[k].i]]
                if members:
                    compare_one(life, name, members, state)
    check_surroundings(life)


def compare_one(life: Life, name: str, members: list[int], state: State) -> None:
    tensors = []
    for k in members:
        param = life.params[k]
        tensor = param if name == "param" else life.opt.state[param].get(name)
        if tensor is None:
            life.wrong(k, name, "is missing")
        tensors.append(reals(tensor))
    where = [range(state[name].value.size)[life.members[k].where] for k in members]
    elements = np.concatenate(where).astype(int)
    wanted, got = state[name][elements], torch.cat(tensors)
    first = life.members[members[0]]
    output = name
    if first.is_complex:
        output = f"{name} (complex)"
        # A product with a complex number spreads an infinity or NaN over both of its parts.
        pairs = state["finite"][elements].reshape(-1, 2).all(axis=1)
        wanted, got = only(wanted, got, pairs.repeat(2))
        wanted.selected = False  # nor is the sign of a zero its own
    elif "max_exp_avg_sq" in state and life.path == "fused":
        # `fused-amsgrad-loses-nan` of the ledger
        wanted, got = only(wanted, got, ~np.isnan(state["max_exp_avg_sq"].value[elements]))
    if got.numel():
        check(life.component, output, first.target, got, wanted)


def reals(tensor: torch.Tensor) -> torch.Tensor:
    """A vector of real numbers."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.detach().reshape(-1)


def only(wanted: Rounded, got: torch.Tensor, kept: np.ndarray) -> tuple[Rounded, torch.Tensor]:
    return (wanted, got) if kept.all() else (wanted[kept], got[torch.from_numpy(kept)])
