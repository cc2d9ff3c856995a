"""Where matrix products round: by device, dtype and the precision switches of torch.

    device, dtype       switch of torch.backends                    operands    sums in
    any, float64        -                                           as stored   float64
    any, float32        matmul.fp32_precision "ieee" or "none"      as stored   float32
    any, float32        matmul.fp32_precision "tf32"                11 bits     float32
    any, float32        matmul.fp32_precision "bf16"                bfloat16    float32
    CPU, half           -                                           as stored   float32
    others, half        -                                           as stored   float32
    CUDA, half          matmul.allow_..._reduced_precision_...      as stored   float32, in parts;
                                                                                these in the half
    CUDA, float16       matmul.allow_fp16_accumulation              as stored   float16

`fp32_precision` is that of `cuda.matmul` for CUDA and of `mkldnn.matmul`, which is oneDNN's, for
every other device. A processor need not use what it is allowed to use, so each bound admits exact
operands as well. Fused multiply-add, and atomics, which add in any order, are within every bound.

Tensor cores read the leading bits of an operand and cut off the rest, and they cut off, too, where
they add: each rounding counts twice (Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA
tensor cores", 2021). A part of a half-type product is what one block of threads adds up before it
hands it over: at least the 16 terms of one instruction.
"""

from dataclasses import replace
from typing import NamedTuple

from tests.harness.formats import BFLOAT16, FLOAT16, FLOAT32, Format

TF32 = Format("tf32", 11, min_exponent=-126, max_exponent=127, flushes=True, times=2.0)
FACTORS = {"tf32": TF32, "bf16": BFLOAT16}
TENSOR_CORES = replace(FLOAT32, times=2.0)
PART = 16  # terms, at least, that are added before anything is rounded to a half type


class Products(NamedTuple):
    """How a device multiplies matrices, where it differs from other kernels."""

    factors: Format | None = None  # what operands are rounded to
    sums: Format | None = None  # what terms are added in
    parts: Format | None = None  # what parts of a sum are stored in


def products_on(device: str, dtype: str) -> Products:
    """As the switches are now."""
    import torch  # which the references, where they are proved alone, do without

    kind = torch.device(device).type
    if dtype == "float64":
        return Products()
    if dtype == "float32":
        library = torch.backends.cuda if kind == "cuda" else torch.backends.mkldnn
        return Products(FACTORS.get(library.matmul.fp32_precision))
    if kind == "cpu":
        return Products()
    if kind != "cuda":
        return Products(sums=TENSOR_CORES)
    matmul = torch.backends.cuda.matmul
    if dtype == "float16" and matmul.allow_fp16_accumulation:
        return Products(sums=replace(FLOAT16, times=2.0))
    half = FLOAT16 if dtype == "float16" else BFLOAT16
    short = {FLOAT16: "fp16", BFLOAT16: "bf16"}[half]
    reduced = getattr(matmul, f"allow_{short}_reduced_precision_reduction")
    return Products(sums=TENSOR_CORES, parts=half if reduced else None)
