"""`-p tests.meta.second_device_tf32`: the second device, whose multipliers read TF32."""

from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from tests.meta.second_device import CPU, EXTENSION, KERNELS, kernel, said_to_be_on

PRODUCTS = ("mm", "addmm", "mv", "addmv", "bmm", "dot")


def cut(x: Any) -> Any:
    """The leading ten bits of a float32 number's mantissa, as tensor cores read it."""
    if not isinstance(x, torch.Tensor) or x.dtype != torch.float32:
        return x
    bits = said_to_be_on(CPU, x).contiguous().view(torch.int32) & ~0x1FFF
    return said_to_be_on(EXTENSION, bits.view(torch.float32))


def product(op: Any, added: int, *args: Any, **kwargs: Any) -> torch.Tensor:
    """What is added to the product is no operand of it."""
    return kernel(op, *args[:added], *tree_map(cut, args[added:]), **kwargs)


for name in PRODUCTS:
    op = getattr(torch.ops.aten, name).default
    added = int(name.startswith("add"))
    KERNELS.impl(op, partial(product, op, added), "PrivateUse1", allow_override=True)
