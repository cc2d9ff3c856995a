"""The report as data: all that a run has seen, in one dictionary that JSON holds.

Schema 1, by key:

    schema            1
    environment       versions, processors, threads, precision switches
    run               profile, seed, arguments, seconds, exit_status
    rows              one for each cell of the matrix: device, component, path, output, dtype,
                      examples, elements, deviations, known, vacuous (a share), worst_share (of the
                      bound), worst_ulp, shares (how many comparisons in each tenth of the bound)
    failures          test, message, text
    known_deviations  id, agree, deviate, and what the ledger says
    curves            by name and line: a number for each step
    not_verified      lines
"""

import math
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from tests.harness.deviations import ledger
from tests.harness.record import Record

SCHEMA = 1


def report(
    record: Record, run: dict[str, Any], failures: list[dict[str, str]], devices: tuple[str, ...]
) -> dict[str, Any]:
    """Gather the report of a run."""
    rows = []
    for (row, dtype), tally in sorted(record.tallies.items(), key=lambda item: item[1].test):
        numbers = {key: finite(value) for key, value in asdict(tally).items() if key != "test"}
        numbers["vacuous"] = tally.vacuous / max(1, tally.examples)
        named = dict(zip(("device", "component", "path", "output"), row, strict=True))
        rows.append({**named, "dtype": dtype, **numbers})
    known = {entry.id: entry for entry in ledger()}
    return {
        "schema": SCHEMA,
        "environment": environment(devices),
        "run": run,
        "rows": rows,
        "failures": failures,
        "known_deviations": [
            {**asdict(known[id_]), "date": str(known[id_].date), "agree": agree, "deviate": deviate}
            for id_, (agree, deviate) in record.ledger.items()
        ],
        "curves": record.curves,
        "not_verified": record.notes,
    }


def finite(value: Any) -> Any:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def environment(devices: tuple[str, ...]) -> dict[str, Any]:
    """What the numbers may depend on."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "hypothesis": version("hypothesis"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "devices": {device: described(device) for device in devices},
        "threads": torch.get_num_threads(),
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "oneDNN": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "oneDNN limited to": os.environ.get("ONEDNN_MAX_CPU_ISA", "all instructions"),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def described(device: str) -> str:
    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind
