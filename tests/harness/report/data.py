"""The report as data: all that a run has seen, in one dictionary that JSON holds.

`schema.json` beside this file says what each key means. A change that its readers would notice
raises `files.SCHEMA`.
"""

import math
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch

from tests.harness.deviations import ledger
from tests.harness.record import Record
from tests.harness.report.files import SCHEMA
from tests.harness.switches import state

PACKAGES = ("torch", "numpy", "hypothesis", "pytest", "pytest-xdist", "torchvision")
COMFORTS = {
    "jinja2": "report.html",
    "matplotlib": "the curves of report.html",
    "rich": "the table of claims in colour",
    "tqdm": "progress bars",
    "xdist": "pytest -n",
}
"""What a run does without where a package is not installed."""


def report(
    record: Record, run: dict[str, Any], failures: list[dict[str, Any]], devices: tuple[str, ...]
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
        "switches": switches(),
        "run": run,
        "rows": rows,
        "failures": failures,
        "known_deviations": [
            {**asdict(known[id_]), "date": str(known[id_].date), "agree": agree, "deviate": deviate}
            for id_, (agree, deviate) in sorted(record.ledger.items())
        ],
        "curves": {
            name: {
                panel: {line: [shortened(x) for x in numbers] for line, numbers in lines.items()}
                for panel, lines in panels.items()
            }
            for name, panels in record.curves.items()
        },
        "benchmarks": [asdict(benchmark) for benchmark in record.benchmarks],
        "not_verified": record.notes,
        "switched_off": {name: what for name, what in COMFORTS.items() if not find_spec(name)},
    }


def finite(value: Any) -> Any:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shortened(value: float) -> float | None:
    """Five digits are more than a curve shows."""
    return finite(float(f"{value:.5g}"))


def environment(devices: tuple[str, ...]) -> dict[str, Any]:
    """What the numbers may depend on."""
    return {
        "python": platform.python_version(),
        **{name: installed for name in PACKAGES if (installed := version_of(name))},
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "devices": {device: described(device) for device in devices},
    }


def version_of(package: str) -> str | None:
    if package == "torch":  # which build it is, too
        return torch.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def switches() -> dict[str, Any]:
    """What may be set, and changes how torch rounds."""
    return {
        **{
            name: setting if isinstance(setting, bool | int) else str(setting)
            for name, setting in state().items()
        },
        "oneDNN limited to": os.environ.get("ONEDNN_MAX_CPU_ISA", "all instructions"),
    }


def described(device: str) -> str:
    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind
