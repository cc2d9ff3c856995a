"""A look, before the run, at kernels that would spoil all of it."""

import os
import subprocess
import sys
from pathlib import Path

RESTRICTED = "AVX512_CORE_FP16"
LEAKS = 3  # exit status

PROBE = f"""
import torch
for dtype in (torch.bfloat16, torch.float16):
    x = torch.ones(64, 64, dtype=dtype, requires_grad=True)
    torch.nn.functional.linear(x, x, x[0]).sum().backward()
rows = torch.zeros(64, 33, dtype=torch.bfloat16)
rows[1] = torch.inf
product = rows @ torch.zeros(33, 16, dtype=torch.bfloat16)
raise SystemExit({LEAKS} * int(product[0].isnan().any()))
"""


def restrict_wrong_kernels() -> str | None:
    """Keep oneDNN from using AMX where that is known to be wrong; say so if it was necessary.

    Some virtual machines announce AMX, Intel's matrix extension, and do not run it: half-type
    matrix products of torch then die of an illegal instruction, or fail to be set up. And where
    they run, torch 2.12 and newer read beyond the end of a row, and multiply what they find there
    with zeros: an infinity of the next row makes NaN (github.com/uxlfoundation/oneDNN/issues/5717).
    Either would hide everything else. Only a process of its own can find out, so this is asked only
    where AMX is announced and oneDNN is not restricted already.
    """
    if "ONEDNN_MAX_CPU_ISA" in os.environ or "amx_tile" not in cpu_flags():
        return None
    if not (wrong := probed()):
        return None
    os.environ["ONEDNN_MAX_CPU_ISA"] = RESTRICTED
    return f"kernels for AMX: {wrong}; everything ran with ONEDNN_MAX_CPU_ISA={RESTRICTED}"


def cpu_flags() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().split()
    except OSError:  # not Linux
        return []


def probed() -> str:
    """What is wrong, if anything."""
    process = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False)
    return {
        0: "",
        LEAKS: "in bfloat16 they let an infinity into the row before its own (oneDNN #5717)",
    }.get(
        process.returncode,
        "they crash on this machine, which announces AMX and does not run it",
    )
