"""The test that died, run again: each call of torch is written down before it is made."""

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 900  # seconds


@dataclass(frozen=True)
class Found:
    """How the test ended this time, and the script of what it did last."""

    ending: str
    script: Path | None = None

    def page(self, test: str) -> str:
        lines = [f"{test} {self.ending}"]
        if self.script:
            calls = self.script.read_text("utf-8").rpartition('"""\n')[2].strip().splitlines()
            lines += ["", *(f"  {line}" for line in calls), "", f"  script  python {self.script}"]
        return "\n".join(lines)


def search(test: str, run: dict[str, Any], alone: bool) -> Found:
    """Run one test, by its node id, as the run that died did.

    `alone` says whether that was without pytest-xdist, which then need not be there.
    """
    name = re.sub(r"\W+", "-", test.rpartition("/")[2]).strip("-")
    script = Path(run["folder"]) / f"crash-{name}.py"
    script.unlink(missing_ok=True)
    changed = ["--only", test, "--write-ahead", str(script), "--hypothesis-seed", run["seed"]]
    in_this_process = [] if alone else ["-n", "0"]
    command = [sys.executable, "-m", "pytest", *run["arguments"], *changed, *in_this_process]
    try:
        code = subprocess.run(
            command, cwd=run["cwd"], capture_output=True, check=False, timeout=LONGEST
        ).returncode
    except subprocess.TimeoutExpired:
        return Found(f"does not end in {LONGEST} s", script if script.is_file() else None)
    if code < 0 and script.is_file():
        return Found(f"kills the process ({signal.Signals(-code).name}) with its last call", script)
    script.unlink(missing_ok=True)
    return Found("was running when the process died, and does not kill it by itself")
