"""A look, before the run, at kernels that would take the whole process down."""

import os
import subprocess
import sys
from pathlib import Path

RESTRICTED = "AVX512_CORE_FP16"

PROBE = """
import torch
for dtype in (torch.bfloat16, torch.float16):
    x = torch.ones(64, 64, dtype=dtype, requires_grad=True)
    torch.nn.functional.linear(x, x, x[0]).sum().backward()
"""


def restrict_crashing_kernels() -> str | None:
    """Keep oneDNN from using AMX where that kills the process; say so if it was necessary.

    Some virtual machines announce AMX, Intel's matrix extension, and do not run it: half-type
    matrix products of torch then die of an illegal instruction, or fail to be set up. That is a
    fault of the machine, and one that would hide everything else. Only a process of its own can
    find out, so this is asked only where AMX is announced and oneDNN is not restricted already.
    """
    if "ONEDNN_MAX_CPU_ISA" in os.environ or "amx_tile" not in cpu_flags():
        return None
    if probe_survives():
        return None
    os.environ["ONEDNN_MAX_CPU_ISA"] = RESTRICTED
    return (
        "kernels for AMX: they crash on this machine, which announces AMX and does not run it;"
        f" everything ran with ONEDNN_MAX_CPU_ISA={RESTRICTED}"
    )


def cpu_flags() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().split()
    except OSError:  # not Linux
        return []


def probe_survives() -> bool:
    process = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False)
    return process.returncode == 0
