"""Thousands of steps from exact inputs: the drift stays within what rounding accumulates to.

The bound of a step inherits that of the step before, so the accumulated bound is the reference's
own. How the drift grows is printed with `-s`, and each power of two is one row of the matrix.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.harness.border import to_numpy
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

LONGEST = 10_000  # steps, in the profile `thorough`; in `default` 500
SIZE = 4

# Multiples of powers of two, whose products the first steps hold exactly. No coupled decay: there
# the parameter comes back in its own gradient, and a bound of absolute values, which knows no
# cancellation, grows as the powers of 1 + lr lambda where the error itself shrinks.
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.125, "momentum": 0.75},
    "adam": {"lr": 0.125, "betas": (0.75, 0.875), "eps": 2.0**-10},
    "adamw": {"lr": 0.125, "betas": (0.75, 0.875), "eps": 2.0**-10, "weight_decay": 0.125},
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def reference(name: str, state: list[Any], grad: Any, step: int) -> list[Any]:
    if name == "sgd":
        return list(sgd_step(state[0], grad, state[1], **OPTIONS[name]))
    function: Any = adam_step if name == "adam" else adamw_step
    return list(function(state[0], grad, *state[1:3], step, **OPTIONS[name]))[:3]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_drift_stays_within_the_accumulated_bound(targets: Targets, name: str, dtype: str) -> None:
    if dtype not in targets.dtypes:
        pytest.skip(f"{dtype} is not asked for")
    steps = min(LONGEST, 10 * settings().max_examples)
    rounding = Rounding.kernel(dtype)
    start = np.array([1.0, -2.0, 0.5, 4.0])
    cycle = np.array([[1, -1, 0.5, 0.25], [-0.5, -1, 1, 0.25], [0.25, 2, -1, -0.5]])
    for device in targets.devices:
        target = Target(device, dtype, "for-loop")
        param = torch.tensor(start, dtype=target.torch_dtype, device=device, requires_grad=True)
        opt = OPTIMIZERS[name]([param], foreach=False, **OPTIONS[name])
        none: Any = None if name == "sgd" else rounding.array(np.zeros(SIZE))
        state = [rounding.array(start), none, none]
        curve = []
        for step in range(1, steps + 1):
            grad = cycle[step % 3]
            param.grad = torch.tensor(grad, dtype=target.torch_dtype, device=device)
            opt.step()
            after = reference(name, state, rounding.array(grad), step)
            state = [rounding.stored(x) for x in after]
            if step & (step - 1) == 0 or step == steps:
                check(f"{name}, long run", "param", target, param, state[0])
                error = np.abs(to_numpy(param) - state[0].value).max()
                curve.append(f"{step}: {error:.1e} of {state[0].bound.max():.1e}")
        print(f"\n{name} {dtype}, drift after each number of steps: {', '.join(curve)}")
