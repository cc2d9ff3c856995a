"""GradScaler: histories of two optimizers whose steps are scaled, clipped and skipped."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import clip_grad_norm_

from reference.adam import adam_step
from reference.clipping import clip_grad_norm
from reference.grad_scaler import unscale, update_scale
from reference.sgd import sgd_step
from tests.harness.formats import FLOAT32, FORMATS
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates, exactly
from tests.optimizers.paths import PATHS

NAMES = ("sgd", "adam")
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.5, "momentum": 0.5, "weight_decay": 0.25},
    "adam": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2.0**-10},
}
MASTER = ("float64", "float32")  # of parameters: half gradients are refused, or have no need


@dataclass(frozen=True)
class Iteration:
    """Two losses, whose gradients are the coefficients; and what is done with these."""

    coefficients: tuple[DrawnArray, DrawnArray]  # one array for each optimizer
    broken: tuple[float, float]  # added to the first of them: 0, or an infinity or NaN
    unscaled: tuple[bool, bool]  # by hand, before the step
    max_norm: float | None  # of those
    new_scale: float | None  # set by hand
    reloaded: bool  # the scaler saved, and another one loaded


@dataclass(frozen=True)
class ScalerHistory:
    """What a scaler and two optimizers live through."""

    scale: float
    options: dict[str, Any]
    starts: tuple[DrawnArray, DrawnArray]
    iterations: tuple[Iteration, ...]


scales = st.sampled_from((1.0, 65536.0, 2.0**-6, 3.0, 0.1, 2.0**126))
factors = {
    "growth_factor": st.sampled_from((2.0, 1.5, 16.0, 1.1)),
    "backoff_factor": st.sampled_from((0.5, 0.25, 0.7)),
    "growth_interval": st.sampled_from((1, 2, 3)),
}


def pairs(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(of, of)


@st.composite
def scaler_histories(draw: st.DrawFn) -> ScalerHistory:
    size, family = draw(st.integers(1, 5)), draw(st.sampled_from(("integers", "uniform")))
    numbers = pairs(arrays((size,), family, "contiguous", special=0))
    iterations = st.builds(
        Iteration,
        coefficients=numbers,
        broken=pairs(st.sampled_from((0.0, 0.0, 0.0, np.inf, np.nan))),
        unscaled=pairs(st.booleans()),
        max_norm=st.sampled_from((None, 1.0, 100.0)),
        new_scale=st.none() | st.none() | scales,
        reloaded=st.booleans(),
    )
    drawn = draw(st.lists(iterations, min_size=1, max_size=5))
    return ScalerHistory(
        draw(scales), draw(st.fixed_dictionaries(factors)), draw(numbers), tuple(drawn)
    )


@settings(max_examples=settings().max_examples // 2)
@given(history=scaler_histories())
def test_parameters_after_scaled_steps_equal_the_reference(
    targets: Targets, history: ScalerHistory
) -> None:
    for dtype, paths in targets.by_dtype("for-loop", "foreach", "fused"):
        if dtype in MASTER:
            expected = list(reference(history, dtype))
            for target in paths:
                live(history, target, expected)


@dataclass(frozen=True)
class Moment:
    """After an iteration: each optimizer's state and steps, the scale and its tracker."""

    states: list[dict[str, Any]]
    steps: list[int]
    scale: float
    tracker: int


def reference(history: ScalerHistory, dtype: str) -> Iterator[Moment]:
    rounding, scale, tracker = Rounding.kernel(dtype), history.scale, 0
    scale = float(FLOAT32.round(np.asarray(scale)))
    states = [{"param": rounding.array(start.numbers(dtype))} for start in history.starts]
    steps = [0, 0]
    for iteration in history.iterations:
        overflows = False
        for i, name in enumerate(NAMES):
            scaled = FORMATS[dtype].round(coefficients(iteration, i, dtype) * scale)
            # torch rounds 1 / S to float32, where it may be subnormal: as if S had been off by
            # S^2 times as much.
            off = scale * scale * FLOAT32.half_ulp(np.asarray(1 / scale))
            as_read: Any = rounding.array(scaled)
            divisor: Any = Rounded(rounding, np.asarray(scale), off)
            (grad,), found_inf = unscale([as_read], divisor)
            if iteration.unscaled[i] and iteration.max_norm is not None:
                kept: Any = rounding.stored(grad)
                (grad,), _ = clip_grad_norm([kept], iteration.max_norm)
            if not found_inf:
                steps[i] += 1
                states[i] = stepped(name, states[i], rounding.stored(grad), steps[i])
            overflows |= found_inf
        if iteration.new_scale is None:
            scale, tracker = update_scale(scale, tracker, overflows, **history.options)
        else:
            scale = iteration.new_scale
        scale = float(FLOAT32.round(np.asarray(scale)))
        yield Moment([*states], [*steps], scale, tracker)


def coefficients(iteration: Iteration, i: int, dtype: str) -> np.ndarray:
    numbers = iteration.coefficients[i].numbers(dtype).copy()
    numbers[0] += iteration.broken[i]
    return numbers


def stepped(name: str, state: dict[str, Any], grad: Any, step: int) -> dict[str, Any]:
    """One step of the reference, its results stored."""
    names = ("param", "momentum_buffer") if name == "sgd" else ("param", "exp_avg", "exp_avg_sq")
    if name == "sgd":
        before = (state["param"], grad, state.get("momentum_buffer"))
        after: Any = sgd_step(*before, **OPTIONS[name])
    else:
        zeros = np.zeros(grad.shape)
        first, second = (state.get(key, zeros) for key in names[1:])
        after = adam_step(state["param"], grad, first, second, step, **OPTIONS[name])
    return {key: grad.rounding.stored(x) for key, x in zip(names, after, strict=False)}


def live(history: ScalerHistory, target: Target, expected: list[Moment]) -> None:
    """torch's side of the history."""
    flags = PATHS[target.path].flags
    params = [start.tensor(target).requires_grad_() for start in history.starts]
    opts: list[torch.optim.Optimizer] = [
        torch.optim.SGD([params[0]], **OPTIONS["sgd"], **flags),
        torch.optim.Adam([params[1]], **OPTIONS["adam"], **flags),
    ]
    scaler = torch.amp.GradScaler(target.device_type, history.scale, **history.options)
    for iteration, moment in zip(history.iterations, expected, strict=True):
        losses = []
        for i, (param, opt) in enumerate(zip(params, opts, strict=True)):
            opt.zero_grad()
            factors = torch.from_numpy(coefficients(iteration, i, target.dtype))
            losses.append((param * factors.to(param)).sum())
        torch.autograd.backward(scaler.scale(losses))
        for i, (param, opt) in enumerate(zip(params, opts, strict=True)):
            if iteration.unscaled[i]:
                scaler.unscale_(opt)
                if iteration.max_norm is not None:
                    clip_grad_norm_([param], iteration.max_norm)
        for opt in opts:
            scaler.step(opt)
        scaler.update(iteration.new_scale)
        if iteration.reloaded:
            scaler = saved_and_loaded(scaler, target)
        momentum_is_lost = target.path == "fused" and expected[0].steps[0] == 0
        compare(target, params, opts, scaler, moment, leave_out="sgd" if momentum_is_lost else "")


def saved_and_loaded(scaler: torch.amp.GradScaler, target: Target) -> torch.amp.GradScaler:
    file = io.BytesIO()
    torch.save(scaler.state_dict(), file)
    file.seek(0)
    loaded = torch.amp.GradScaler(target.device_type, 123.0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    return loaded


def compare(
    target: Target,
    params: list[torch.Tensor],
    opts: list[torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
    moment: Moment,
    leave_out: str,
) -> None:
    """`leave_out` is an optimizer in the domain of `fused-sgd-keeps-unwritten-momentum`."""
    for name, param, opt, state, steps in zip(
        NAMES, params, opts, moment.states, moment.steps, strict=True
    ):
        if name == leave_out:
            continue
        for key, want in state.items():
            got = param if key == "param" else opt.state[param].get(key)
            check("grad_scaler", f"{name} {key}", target, got, want)
        if name == "adam" and opt.state[param].get("step", 0) != steps:
            right = f"got[0].state[got[1]].get('step', 0) == {steps}"
            deviates("grad_scaler", "adam step", target, f"is not {steps}", (opt, param), right)
    scale = scaler.scale(torch.ones((), device=target.device)).to(target.torch_dtype)
    exactly("grad_scaler", "scale", target, scale, moment.scale)
    tracker = scaler.state_dict()["_growth_tracker"]
    if tracker != moment.tracker:
        what, right = f"is {tracker}", f"got.state_dict()['_growth_tracker'] == {moment.tracker}"
        deviates(
            "grad_scaler", "growth tracker", target, f"{what}, not {moment.tracker}", scaler, right
        )
