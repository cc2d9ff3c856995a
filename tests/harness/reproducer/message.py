"""What is said of a deviation: one page, with all that one needs to act on it."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness.report.data import environment
from tests.harness.verdict import Deviation

LONGEST = 200  # characters of a line of the case that are shown


def message(
    deviation: Exception,
    lines: Sequence[str],
    script: Path | None,
    rerun: str,
    devices: Sequence[str],
) -> str:
    """The deviation, the case as torch code, how to have it again, and the versions."""
    case = [f"  {shortened(line)}" for line in lines]
    if script is None:
        case = ["  (no script: the case could not be told in calls of torch alone)"]
    notes = "\n".join(getattr(deviation, "__notes__", []))
    drawn = re.search(
        r"^(?:Failing test case|Falsifying example): (.*?)^\)", notes, re.MULTILINE | re.DOTALL
    )
    about = {
        "script": f"python {script}" if script else "",
        "again": rerun,
        "drawn": f"{' '.join(without_targets(drawn[1]).split())})" if drawn else "",
        "with": circumstances(devices),
    }
    ends = [paragraph(label, text) for label, text in about.items() if text]
    alone = re.findall(r"^the same case (on .* alone: .*)$", notes, re.MULTILINE)
    ends[:0] = [f"  {line}" for line in alone]
    return "\n".join([str(deviation), "", *case, "", *ends])


def instead_of_traceback(page: str) -> Any:
    """What pytest is to print of a failure."""
    try:
        raise Deviation(page)
    except Deviation:
        return pytest.ExceptionInfo.from_current().getrepr(style="value")


def paragraph(label: str, text: str) -> str:
    """Wrapped, but for what is to be copied."""
    if label != "with":
        return f"  {label:<8}{text}"
    return textwrap.fill(
        text,
        100,
        initial_indent=f"  {label:<8}",
        subsequent_indent=" " * 10,
        break_on_hyphens=False,
    )


def shortened(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def without_targets(call: str) -> str:
    return re.sub(r"^ *(targets=.*|#.*)\n", "", call, flags=re.MULTILINE)


def circumstances(devices: Sequence[str]) -> str:
    known = environment(tuple(devices))
    return ", ".join(f"{k} {v}" for k, v in known.items() if not isinstance(v, dict))


def rerun_command(config: pytest.Config, nodeid: str) -> str:
    """The command that runs just this test again, as it was run."""
    options = [
        *(f"--device {device}" for device in config.getoption("--device") or []),
        *(f"--dtype {dtype}" for dtype in config.getoption("--dtype") or []),
    ]
    if profile := config.getoption("--hypothesis-profile"):
        options.append(f"--hypothesis-profile {profile}")
    if (seed := config.getoption("--hypothesis-seed")) is not None:
        options.append(f"--hypothesis-seed {seed}")
    return " ".join(["pytest", f"'{nodeid}'" if "[" in nodeid else nodeid, *options])
