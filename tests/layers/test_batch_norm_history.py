"""BatchNorm as a module that lives: batches in training and evaluation, and resets in between."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.batch_statistics import values_per_channel
from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.layers.batch_norm import Kernels
from tests.layers.batch_norm_cases import MODULES, epsilons, families, momenta
from tests.layers.batch_norm_layouts import is_dense

Step = tuple[str, DrawnArray]  # "train", "evaluate" or "reset", and the batch


@dataclass(frozen=True)
class BatchNormHistory:
    """A module's options, and what happens to it, in order."""

    steps: tuple[Step, ...]
    momentum: float | None
    eps: float
    tracks: bool
    mixed: bool  # a float32 module, given half-type batches


@st.composite
def histories(draw: st.DrawFn) -> BatchNormHistory:
    """One to four steps, all batches with the same channels, of any number of rows."""
    channels, dims = draw(sides(at_least=1, at_most=17)), draw(st.integers(2, 5))
    steps: list[Step] = []
    for action in draw(
        st.lists(st.sampled_from(("train", "train", "evaluate", "reset")), min_size=1, max_size=4)
    ):
        positions = tuple(draw(st.integers(1, 3)) for _ in range(dims - 2))
        rows = draw(st.integers(0, 6))
        if values_per_channel(np.empty((rows, channels, *positions))) == 1:
            rows = 2
        steps.append((action, draw(arrays((rows, channels, *positions), draw(families)))))
    return BatchNormHistory(
        steps=tuple(steps),
        momentum=draw(st.none() | momenta),
        eps=draw(epsilons),
        tracks=draw(st.integers(0, 3)) < 3,
        mixed=draw(st.booleans()),
    )


@given(history=histories())
def test_batch_norm_follows_the_reference_through_its_life(
    targets: Targets, history: BatchNormHistory
) -> None:
    for dtype, paths in targets.by_dtype("history"):
        for target in paths:
            mixed = history.mixed and history.tracks and FORMATS[dtype].precision < 24
            live(history, target, "float32" if mixed else dtype)


def live(history: BatchNormHistory, target: Target, params: str) -> None:
    """Let torch and the reference live through the history; they must agree at every step."""
    _, channels, *positions = history.steps[0][1].shape
    module = MODULES[2 + len(positions)](
        *(channels, history.eps, history.momentum),
        affine=False,
        track_running_stats=history.tracks,
        device=target.device,
        dtype=getattr(torch, params),
    )
    component = "batch_norm" if params == target.dtype else "batch_norm mixed"
    start = [Rounding.kernel(params).array(x) for x in (np.zeros(channels), np.ones(channels))]
    running: Any = start
    batches = 0
    for action, drawn in history.steps:
        if action == "reset":
            module.reset_running_stats()
            running, batches = start, 0
        else:
            y = module.train(action == "train")(drawn.tensor(target))
            dense = is_dense(LAYOUTS[drawn.layout](torch.zeros(drawn.shape)))
            kernels = Kernels(target.dtype, params, target.device, dense, alike=dense)
            x = kernels.array(drawn.numbers(target.dtype))
            statistics = running
            if action == "train" or not history.tracks:
                statistics = kernels.statistics(x)
            if action == "train" and history.tracks:
                batches += 1
                options: dict[str, Any] = {"momentum": history.momentum, "batches": batches}
                options["count"] = values_per_channel(x)
                running = kernels.running(running, statistics, **options)
            expected = kernels.output(x, *statistics, None, None, eps=history.eps)
            check(component, "output", target, y, expected)
        if not history.tracks:
            untracked = module.running_mean, module.running_var, module.num_batches_tracked
            assert untracked == (None, None, None)
            continue
        assert module.num_batches_tracked is not None
        assert int(module.num_batches_tracked) == batches, (
            f"{component} on {target}: not {batches} batches tracked"
        )
        for name, wanted in zip(("running_mean", "running_var"), running, strict=True):
            check(component, name, replace(target, dtype=params), getattr(module, name), wanted)
