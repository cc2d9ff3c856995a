"""torch and the reference live through the same history, and must agree after every step."""

from functools import cache
from typing import Any

import numpy as np
import torch

from tests.harness.rounded import Rounded
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.optimizers.events import Step
from tests.optimizers.history import History
from tests.optimizers.invariants import BUFFERS, check_structure, check_surroundings
from tests.optimizers.known_faults import fused_sgd_stops, rate_of_zero_is_nan
from tests.optimizers.life import Life
from tests.optimizers.moments import Moment, moments
from tests.optimizers.paths import PATHS, Model, dtypes_of, paths_of
from tests.optimizers.reference_history import ReferenceStep, State, reference_history
from tests.optimizers.route import route


def verify(
    component: str,
    targets: Targets,
    history: History,
    optimizer: type[torch.optim.Optimizer],
    reference_step: ReferenceStep,
    compiled: bool = False,
) -> None:
    """Every path, in each dtype; mixed histories have all dtypes in one optimizer."""
    structure = moments(history)
    _, options = history.groups[0]
    adam = component != "sgd"
    decoupled = options.get("decoupled_weight_decay", component == "adamw")
    updates = [update for moment in structure for update in moment.updates]
    decoupled = decoupled and any(update.options["weight_decay"] for update in updates)

    @cache
    def evaluated(models: tuple[Model, ...]) -> list[State]:
        return list(reference_history(models, history, structure, reference_step))

    for device in targets.devices:
        for path in paths_of(optimizer, compiled):
            dtypes = dtypes_of(optimizer, path, targets, device)
            for taken in [dtypes] if history.mixed and dtypes else [[dtype] for dtype in dtypes]:
                starts = [Target(device, dtype, path) for dtype in taken]
                routes = {s.dtype: route(component, history, targets, s) for s in starts}
                expected = {
                    start.dtype: evaluated(
                        tuple(
                            PATHS[t.path].model(t.dtype, adam, decoupled, device)
                            for t in (start, *routes[start.dtype])
                        )
                    )
                    for start in starts
                }
                life = Life(component, optimizer, history, device, path, taken)
                compare(life, structure, routes, expected)


def compare(
    life: Life,
    structure: list[Moment],
    routes: dict[str, list[Target]],
    expected: dict[str, list[State]],
) -> None:
    """One output of all members of one dtype at a time, end to end."""
    blocks: dict[tuple[str, bool], list[int]] = {}
    for k, member in enumerate(life.members):
        blocks.setdefault((member.began, member.is_complex), []).append(k)
    for number, (event, moment) in enumerate(zip(life.history.events, structure, strict=True)):
        if fused_sgd_stops(life, moment) or rate_of_zero_is_nan(life, moment):
            break
        life.live(event, moment, {dtype: route[number] for dtype, route in routes.items()})
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
            right = f"got[0].state[got[1]].get({name!r}) is not None"
            life.wrong(k, name, "is missing", (life.opt, param), right)
        tensors.append(reals(tensor))
    where = [life.members[k].where for k in members]
    first, wanted = life.members[members[0]], state[name]
    elements: Any = slice(None)
    if first.is_complex or sum(w.stop - w.start for w in where) < wanted.value.size:
        elements = np.concatenate([np.arange(w.start, w.stop) for w in where])
        wanted = wanted[elements]
    got = torch.cat(tensors)
    output = name
    if first.is_complex:
        output = f"complex {name}"
        # A product with a complex number spreads an infinity or NaN over both of its parts.
        pairs = state["finite"][elements].reshape(-1, 2).all(axis=1)
        wanted, got = only(wanted, got, pairs.repeat(2))
        wanted.selected = False  # nor is the sign of a zero its own
    elif "max_exp_avg_sq" in state and first.target.path == "fused":
        # `fused-amsgrad-loses-nan` of the ledger
        wanted, got = only(wanted, got, ~np.isnan(state["max_exp_avg_sq"].value[elements]))
    if name == "exp_avg":
        # Of infinities, torch's difference of the average and the gradient makes NaN.
        wanted, got = only(wanted, got, ~np.isinf(wanted.value))
    if got.numel():
        check(life.component, output, first.target, got, wanted)


def reals(tensor: torch.Tensor) -> torch.Tensor:
    """A vector of real numbers."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return real.detach().reshape(-1)


def only(wanted: Rounded, got: torch.Tensor, kept: np.ndarray) -> tuple[Rounded, torch.Tensor]:
    return (
        (wanted, got) if kept.all() else (wanted[kept], got[torch.from_numpy(kept).to(got.device)])
    )
