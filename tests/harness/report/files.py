"""The files of a report, written and read."""

import json
from pathlib import Path
from typing import Any

SCHEMA = 1
KEYS = json.loads(Path(__file__).with_name("schema.json").read_text("utf-8"))["required"]


class ReportError(Exception):
    """A report that cannot be read, in one line."""


def write(folder: Path, data: dict[str, Any]) -> str:
    """Write both files, and say so."""
    path = folder / "report.json"
    path.write_text(json.dumps(data, indent=1, allow_nan=False), "utf-8")
    return f"{path} and {draw(folder, data)}"


def draw(folder: Path, data: dict[str, Any]) -> str:
    """Write report.html, with what was measured beside the run; say so, or what is missing."""
    try:
        from tests.harness.report.page import page
    except ImportError as error:
        return f"no report.html ({error.name} is not installed)"
    measured = folder / "sensitivity.json"
    sensitivity = read_json(measured) if measured.is_file() else None
    path = folder / "report.html"
    path.write_text(page(data, sensitivity), "utf-8")
    without = "".join(f", without {what} ({name} is not installed)" for name, what in lacking(data))
    return f"{path}{without}"


def lacking(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, what) for name, what in data["switched_off"].items() if "report" in what]


def read(path: Path) -> dict[str, Any]:
    """A report.json, or the folder that holds one."""
    path = path / "report.json" if path.is_dir() else path
    data = read_json(path)
    if not isinstance(data, dict) or "schema" not in data:
        raise ReportError(f"{path}: no report of Backproof")
    if data["schema"] != SCHEMA:
        raise ReportError(f"{path}: schema {data['schema']}, and this reads schema {SCHEMA}")
    if missing := [key for key in KEYS if key not in data]:
        raise ReportError(f"{path}: without {', '.join(missing)}")
    return data


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ReportError(f"{path}: not JSON ({error})") from error
