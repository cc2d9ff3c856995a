"""Autocast's documented lists: in which dtype each operation runs, seen at what it returns.

And of devices that are not here, whether torch has the operation in a list at all.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from reference.autocast import IN_FLOAT32, IN_LOWER_PRECISION
from tests.harness.targets import Targets
from tests.mixed_precision.lists import with_lists

LOWER, FLOAT32, GIVEN, WIDEST = "the lower precision", "float32", "as given", "the widest given"

Call = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LISTS: dict[str, tuple[Call, str, str]] = {
    "matmul": (torch.matmul, LOWER, LOWER),
    "mm": (torch.mm, LOWER, LOWER),
    "addmm": (lambda x, y: torch.addmm(x, x, y), LOWER, LOWER),
    "bmm": (lambda x, y: torch.bmm(x[None], y[None]), LOWER, LOWER),
    "baddbmm": (lambda x, y: torch.baddbmm(x[None], x[None], y[None]), LOWER, LOWER),
    "linear": (F.linear, LOWER, LOWER),
    "conv1d": (lambda x, y: F.conv1d(x[None], y[None]), LOWER, LOWER),
    "prelu": (lambda x, y: F.prelu(x, y[0]), LOWER, LOWER),
    "mse_loss": (F.mse_loss, FLOAT32, FLOAT32),
    "l1_loss": (F.l1_loss, FLOAT32, FLOAT32),
    "smooth_l1_loss": (F.smooth_l1_loss, FLOAT32, FLOAT32),
    "huber_loss": (F.huber_loss, FLOAT32, FLOAT32),
    "kl_div": (lambda x, y: F.kl_div(x, y, reduction="sum"), FLOAT32, FLOAT32),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, FLOAT32, FLOAT32),
    "cross_entropy": (lambda x, y: F.cross_entropy(x, y.argmax(1)), FLOAT32, FLOAT32),
    "nll_loss": (lambda x, y: F.nll_loss(x, y.argmax(1)), FLOAT32, FLOAT32),
    "prod": (lambda x, y: x.prod(), FLOAT32, FLOAT32),
    "cdist": (torch.cdist, FLOAT32, FLOAT32),
    "softmax": (lambda x, y: F.softmax(x, 1), GIVEN, FLOAT32),
    "log_softmax": (lambda x, y: F.log_softmax(x, 1), GIVEN, FLOAT32),
    "layer_norm": (lambda x, y: F.layer_norm(x, x.shape), GIVEN, FLOAT32),
    "softplus": (lambda x, y: F.softplus(x), GIVEN, FLOAT32),
    "exp": (lambda x, y: x.exp(), GIVEN, FLOAT32),
    "log": (lambda x, y: x.abs().log(), GIVEN, FLOAT32),
    "pow": (lambda x, y: x**2, GIVEN, FLOAT32),
    "sum": (lambda x, y: x.sum(), GIVEN, FLOAT32),
    "batch_norm": (lambda x, y: F.batch_norm(x, None, None, training=True), GIVEN, GIVEN),
    "dropout": (lambda x, y: F.dropout(x), GIVEN, GIVEN),
    "relu": (lambda x, y: F.relu(x), GIVEN, GIVEN),
    "add": (torch.add, WIDEST, WIDEST),
    "cat": (lambda x, y: torch.cat([x, y]), WIDEST, WIDEST),
    "stack": (lambda x, y: torch.stack([x, y]), WIDEST, WIDEST),
}
"""By operation: a call, and where it runs on the CPU and on CUDA."""

OVERLOADS = {"cross_entropy": "cross_entropy_loss", "log_softmax": "log_softmax.int"}
"""What torch's dispatcher calls operations, where not by their names."""


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("name", LISTS)
def test_an_operation_is_in_its_list(targets: Targets, name: str, lower: torch.dtype) -> None:
    call, on_cpu, on_cuda = LISTS[name]
    for device in with_lists(targets).devices:
        kind = torch.device(device).type
        runs = on_cpu if kind == "cpu" else on_cuda
        for given in (torch.float32, lower):
            x = torch.ones(3, 3, dtype=given, device=device)
            other = torch.ones_like(x, dtype=torch.float32 if runs == WIDEST else given)
            with torch.autocast(kind, lower):
                dtype = call(x, other).dtype
            fixed = {LOWER: lower, FLOAT32: torch.float32, WIDEST: torch.float32}
            assert dtype == fixed.get(runs, given), f"{name} of {given} on {device} runs in {dtype}"


@pytest.mark.parametrize("device", IN_FLOAT32)
def test_torch_has_an_entry_for_what_is_listed_and_for_nothing_else(device: str) -> None:
    """Asked of torch's dispatcher, which knows the lists of every device wherever it runs.

    There is no public way to ask; and in which of the lists an operation is, it does not say.
    """
    listed = IN_LOWER_PRECISION | IN_FLOAT32[device]
    if device != "cpu":
        listed = listed - {"cross_entropy"}  # which has its two parts there
    for name in ("relu", "threshold", "batch_norm", "dropout", *IN_FLOAT32["cuda"], "linear"):
        operation, key = f"aten::{OVERLOADS.get(name, name)}", f"Autocast{device.upper()}"
        entered = torch._C._dispatch_has_kernel_for_dispatch_key(operation, key)
        assert entered == (name in listed), f"{name} on {device}"
