"""torch and the reference live through the same history, and must agree after every step."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import torch

from tests.harness.rounded import Rounded
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.optimizers.history import History, Moment, Step, Update, moments
from tests.optimizers.life import BUFFERS, Life
from tests.optimizers.paths import PATHS, Path, paths_of
from tests.optimizers.script import script

State = dict[str, Any]  # "param" and the optimizer's buffers, all parameters in one vector
ReferenceStep = Callable[[State, Any, Update, Path], State]


def verify(
    component: str,
    targets: Targets,
    history: History,
    optimizer: type[torch.optim.Optimizer],
    reference_step: ReferenceStep,
) -> None:
    """Every path, in each dtype; in mixed histories the dtypes take turns along the parameters."""
    structure = moments(history)

    @cache
    def evaluated(dtype: str, model: Path) -> list[State]:
        return list(reference_history(dtype, model, history, structure, reference_step))

    for device in targets.devices:
        for path in paths_of(optimizer, device):
            model = PATHS[path]
            dtypes = [dtype for dtype in targets.dtypes if model.takes(dtype)]
            for turn in range(len(dtypes)):
                count = len(history.parameters)
                taken = [dtypes[(turn + i * history.mixed) % len(dtypes)] for i in range(count)]
                expected = {dtype: evaluated(dtype, model.like) for dtype in set(taken)}
                try:
                    life = Life(component, optimizer, history, device, path, taken)
                    compare(life, structure, expected)
                except Exception as error:
                    error.add_note(script(component, history, path, taken))
                    raise


def reference_history(
    dtype: str,
    path: Path,
    history: History,
    structure: list[Moment],
    reference_step: ReferenceStep,
) -> Iterable[State]:
    """The state after each event."""
    rounding = path.rounding(dtype)
    state: State = {"param": rounding.array(history.starts(dtype))}
    zeros = np.zeros(history.start.shape)
    finite = np.ones(history.start.shape, dtype=bool)  # so far, and surely
    for event, moment in zip(history.events, structure, strict=True):
        if isinstance(event, Step):
            grad = rounding.array(history.accumulated(event, dtype))
            before = state
            for update in moment.updates:
                after = reference_step(before, grad, update, path)
                for name, x in after.items():
                    if x is before.get(name):
                        continue
                    new: Any = rounding.stored(x)
                    if update.where is not None:
                        new = np.where(update.where, new, state.get(name, rounding.array(zeros)))
                    state = {**state, name: new}
                    finite = finite & np.isfinite(new.value) & np.isfinite(new.bound)
        yield {**state, "finite": finite}


def compare(life: Life, structure: list[Moment], expected: dict[str, list[State]]) -> None:
    history = life.history
    for number, (event, moment) in enumerate(zip(history.events, structure, strict=True)):
        if fused_sgd_cannot(life, moment) or rate_of_zero_is_nan(life, moment):
            break
        life.live(event, moment)
        if not isinstance(event, Step):
            continue
        for dtype, states in expected.items():
            for is_complex in (False, True):
                members = [
                    i
                    for i, target in enumerate(life.targets)
                    if target.dtype == dtype and life.is_complex(i) == is_complex
                ]
                state = states[number]
                for name in ("param", *BUFFERS):
                    compare_one(life, moment, name, members, state)
    life.check_surroundings()


def compare_one(
    life: Life,
    moment: Moment,
    name: str,
    members: list[int],
    state: State,
) -> None:
    """One output of all parameters of one dtype, end to end."""
    if name != "param":
        members = [i for i in members if moment.steps[i] > 0]
    if name == "momentum_buffer":
        members = [i for i in members if moment.buffers[i]]
    want: Rounded | None = state.get(name)
    if not members or want is None:
        return
    where = np.concatenate([np.arange(want.value.size)[life.history.pieces[i][0]] for i in members])
    tensors = []
    for i in members:
        tensor = life.params[i] if name == "param" else life.opt.state[life.params[i]].get(name)
        if tensor is None:
            life.wrong(i, name, "is missing")
        tensors.append(life.reals(i, tensor))
    wanted, got = want[where], torch.cat(tensors)
    output = name
    if life.is_complex(members[0]):
        output = f"{name} (complex)"
        # A product with a complex number spreads an infinity or NaN over both of its parts.
        pairs = state["finite"][where].reshape(-1, 2).all(axis=1)
        wanted, got = only(wanted, got, pairs.repeat(2))
        wanted.selected = False  # nor is the sign of a zero its own
    elif "max_exp_avg_sq" in state and life.path == "fused":
        # The CPU kernel's maximum drops NaN in the elements beyond the last full vector: see
        # `test_known_faults.py`.
        wanted, got = only(wanted, got, ~np.isnan(state["max_exp_avg_sq"].value[where]))
    if not got.numel():
        return
    check(life.component, output, life.targets[members[0]], got, wanted)


def only(wanted: Rounded, got: torch.Tensor, kept: np.ndarray) -> tuple[Rounded, torch.Tensor]:
    return (wanted, got) if kept.all() else (wanted[kept], got[torch.from_numpy(kept)])


def fused_sgd_cannot(life: Life, moment: Moment) -> bool:
    """Step on where some parameters of a dtype have a momentum buffer and others do not yet.

    It stops with a TypeError: see `test_known_faults.py`.
    """
    firsts = {(u.group, u.first) for u in moment.updates if u.options.get("momentum", 0) != 0}
    return life.path == "fused" and len(firsts) > len({group for group, _ in firsts})


def rate_of_zero_is_nan(life: Life, moment: Moment) -> bool:
    """Where eps and the root are divided by the step size, a zero root by an lr of 0 is NaN."""
    zero = any(update.options["lr"] == 0 for update in moment.updates)
    return zero and PATHS[life.path].counts_in_tensors and life.component != "sgd"
