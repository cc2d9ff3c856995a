"""What is said of a deviation: one page, with all that one needs to act on it."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness import switches
from tests.harness.report.data import environment
from tests.harness.verdict import Deviation

LONGEST = 200  # characters of a line of the case that are shown


def message(
    deviation: BaseException,
    told: Sequence[str] | str,
    script: Path | None,
    rerun: str,
    devices: Sequence[str],
) -> str:
    """The deviation, the case as torch code, how to have it again, and the versions.

    `told` are the calls of torch, or why there are none.
    """
    case = [f"  (no script: {told})"]
    if not isinstance(told, str):
        case = [f"  {shortened(line)}" for line in told]
    notes = "\n".join(getattr(deviation, "__notes__", []))
    drawn = re.search(
        r"^(?:Failing test case|Falsifying example): (.*?)^\)", notes, re.MULTILINE | re.DOTALL
    )
    about = {
        "script": f"python {script}" if script else "",
        "again": rerun,
        "drawn": on_one_line(without_targets(drawn[1])) if drawn else "",
        "with": circumstances(deviation, devices),
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


def on_one_line(call: str) -> str:
    """Of a call that Hypothesis prints one argument a line, without its last bracket."""
    name, _, arguments = " ".join(call.split()).partition("(")
    return f"{name}({arguments.strip(' ,')})"


def circumstances(deviation: BaseException, devices: Sequence[str]) -> str:
    """The versions, and the switches of torch that were not as they are at the start."""
    known = environment(tuple(devices))
    set_ = deviation.switches if isinstance(deviation, Deviation) else switches.changed()
    shown = {k: v for k, v in known.items() if not isinstance(v, dict)}
    shown |= {k: switches.shown(v) for k, v in set_.items()}
    return ", ".join(f"{k} {v}" for k, v in shown.items())


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
