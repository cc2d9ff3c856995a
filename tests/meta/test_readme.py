"""The README's commands exist, and what it shows is what is printed."""

import re
import shlex
import subprocess
import sys
from configparser import ConfigParser

import pytest

from tests.harness.record import Record, Tally
from tests.harness.report.terminal import matrix
from tests.meta.faults.runs import REPOSITORY, open_runs

README = (REPOSITORY / "README.md").read_text("utf-8")
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def arguments(program: str) -> list[list[str]]:
    """What the README hands to a program, command by command."""
    split = (shlex.split(command) for command in COMMANDS)
    return [words[1:] for words in split if words[0] == program]


def test_only_known_programs_are_called() -> None:
    known = {"pip", "tox", "pytest", "python", "hypothesis"}
    assert {shlex.split(command)[0] for command in COMMANDS} == known


def test_each_environment_of_tox_exists() -> None:
    tox = ConfigParser(interpolation=None)
    tox.read(REPOSITORY / "tox.ini")
    inline = re.findall(r"`tox run -e ([\w,-]+)`", README)
    for names in [words[2] for words in arguments("tox")] + inline:
        for name in names.split(","):
            versions = re.fullmatch(r"py31[1-4]-torch21[1-5]", name)
            assert versions or f"testenv:{name}" in tox, name


def test_each_call_of_pytest_finds_tests() -> None:
    with open_runs() as runs:
        calls = [
            [word for word in words if word not in {"--mnist-root", "DIR"}]  # a placeholder
            for words in arguments("pytest")
        ]
        calls += [words[words.index("--") + 1 :] for words in arguments("hypothesis")]
        for words, run in [(words, runs(*words, "--collect-only", "-q")) for words in calls]:
            assert run.exit_code == pytest.ExitCode.OK, (words, run.output)


@pytest.mark.parametrize("words", arguments("python"), ids=" ".join)
def test_each_call_of_python_works(words: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_matrix_has_the_columns_that_are_explained() -> None:
    record = Record()
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        record.tallies[("cpu", "linear", "functional", "output"), dtype] = Tally(100)
    columns, titles = list(matrix(record))[:2]
    assert columns in README
    assert titles in README
