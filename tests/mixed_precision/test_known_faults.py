"""What torch gets wrong in mixed precision: an entry of the ledger, shown where it lies."""

import pytest
import torch

from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_skipped_first_step_leaves_no_momentum(
    targets: Targets, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fused-sgd-keeps-unwritten-momentum`; what is not written to is made NaN."""
    if dtype not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip(f"{dtype} on the CPU, where this fault is, is not asked for")
    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, torch.nan))
    target = Target("cpu", dtype, "fused")
    param = torch.ones(1, dtype=target.torch_dtype, requires_grad=True)
    opt = torch.optim.SGD([param], lr=0.5, momentum=0.5, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    for factor in (torch.inf, 1.0):
        opt.zero_grad()
        scaler.scale(factor * param.sum()).backward()
        scaler.step(opt)
        scaler.update()
    exactly("grad_scaler", "sgd param, first step skipped", target, param, [0.5])
    momentum = opt.state[param]["momentum_buffer"]
    exactly("grad_scaler", "sgd momentum_buffer, first step skipped", target, momentum, [1.0])
