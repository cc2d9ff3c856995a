"""Where torch is known to be wrong, and the histories leave out what it gets wrong.

Each is an entry of `tests/deviations/ledger.toml`; `test_known_faults.py` has the minimal cases.
"""

from typing import TYPE_CHECKING

import torch

from tests.optimizers.moments import Moment
from tests.optimizers.paths import PATHS

if TYPE_CHECKING:
    from tests.optimizers.life import Life


def fused_kernels_misread(param: torch.Tensor, grad: torch.Tensor) -> bool:
    """On the CPU they step through memory as if both lay alike, without gaps.

    `fused-reads-strides-wrongly` and `fused-writes-into-gaps`.
    """
    dense = param.numel() == 0 or param.untyped_storage().nbytes() == param.nbytes
    return not dense or param.stride() != grad.stride() or param.numel() != grad.numel()


def foreach_nesterov_overwrites(life: "Life", moment: Moment, i: int) -> bool:
    """The gradient of parameter i, with the direction of the step, where it has no copy of it.

    `foreach-nesterov-overwrites-gradients`.
    """
    options = moment.options[life.history.group_of[i]]
    copied = options["maximize"] or options["weight_decay"] != 0
    return life.flags["foreach"] and options.get("nesterov", False) and not copied


def fused_sgd_stops(life: "Life", moment: Moment) -> bool:
    """With a TypeError, where some parameters have a momentum buffer and others do not yet.

    `fused-sgd-refuses-late-gradients`.
    """
    firsts = {(u.group, u.first) for u in moment.updates if u.options.get("momentum", 0) != 0}
    return life.path == "fused" and len(firsts) > len({group for group, _ in firsts})


def rate_of_zero_is_nan(life: "Life", moment: Moment) -> bool:
    """Where eps and the root are divided by the step size, a zero root by an lr of 0 is NaN.

    `adam-rate-of-zero-is-nan`.
    """
    zero = any(update.options["lr"] == 0 for update in moment.updates)
    return zero and PATHS[life.path].counts_in_tensors and life.component != "sgd"
