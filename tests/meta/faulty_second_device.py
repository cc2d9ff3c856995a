"""`-p tests.meta.faulty_second_device`: the second device, with a kernel that is a little wrong."""

from functools import partial
from typing import Any

import torch

from tests.meta.second_device import KERNELS, kernel


def addmm(*args: Any, **kwargs: Any) -> torch.Tensor:
    """Right to ten bits, which is what comes of multipliers for TF32."""
    return kernel(torch.ops.aten.addmm.default, *args, **kwargs) * (1 + 2.0**-11)


KERNELS.impl("addmm", partial(addmm), "PrivateUse1", allow_override=True)
