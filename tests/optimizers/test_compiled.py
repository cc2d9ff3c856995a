"""A step under torch.compile, which turns the whole optimizer into one graph.

Compiling takes seconds, so one history of each optimizer stands for all. The default profile
compiles with `aot_eager`, which traces the step and runs torch's own kernels; `thorough` generates
code, where there is a compiler for it. A learning rate that changes must reach the graph.
"""

from typing import Any

import numpy as np
import pytest
import torch

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.harness.doors import backend
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.optimizers.paths import TENSORS

OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "adam": {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.01, "amsgrad": True},
    "adamw": {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.01},
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_step_equals_the_reference(targets: Targets, name: str) -> None:
    if "float32" not in targets.dtypes:
        pytest.skip("float32 is not asked for")
    rounding = Rounding.kernel("float32")
    random = np.random.default_rng(0)
    numbers = rounding.storage.round(random.standard_normal((4, 33)))
    for device in targets.devices:
        target = Target(device, "float32", "compiled")
        param = torch.tensor(numbers[0], dtype=torch.float32, device=device, requires_grad=True)
        opt = OPTIMIZERS[name]([param], foreach=False, **OPTIONS[name])
        torch.compiler.reset()
        step = torch.compile(opt.step, backend=backend())
        state: dict[str, Any] = {"param": rounding.array(numbers[0])}
        for number, grad in enumerate(numbers[1:], start=1):
            param.grad = torch.tensor(grad, dtype=torch.float32, device=device)
            opt.param_groups[0]["lr"] = lr = 0.1 if number < 3 else 0.05
            step()
            after = reference(name, state, rounding.array(grad), number, lr=lr)
            state = {key: rounding.stored(x) for key, x in after.items() if x is not None}
            for output, want in state.items():
                got = param if output == "param" else opt.state[param][output]
                check(name, output, target, got, want)


def reference(
    name: str, state: dict[str, Any], grad: Any, step: int, **changed: Any
) -> dict[str, Any]:
    """In a graph the step count is a tensor, and so are the corrections."""
    options = OPTIONS[name] | changed
    if name == "sgd":
        after = sgd_step(state["param"], grad, state.get("momentum_buffer"), **options)
        return dict(zip(("param", "momentum_buffer"), after, strict=True))
    function: Any = adam_step if name == "adam" else adamw_step
    names = ("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    param, *averages = (state.get(key, np.zeros(grad.shape)) for key in names)
    count = TENSORS.array(np.asarray(step))
    after = function(param, grad, *averages[:2], count, averages[2], **options)
    used = names if options.get("amsgrad") else names[:3]
    return {key: x for key, x in zip(names, after, strict=True) if key in used}
