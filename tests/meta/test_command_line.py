"""The command line: what cannot be done is refused in one line; what was done is said."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from tests.harness.formats import FORMATS
from tests.harness.report.compare import compare
from tests.harness.report.files import read
from tests.meta.faults.runs import REPOSITORY, Run, Runs, open_runs

RELU = ("tests/layers/test_relu.py", "--hypothesis-profile", "quick")


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


@pytest.fixture(scope="module")
def default(runs: Runs) -> Run:
    """An ordinary run, its output not a terminal."""
    return runs(*RELU)


def matrix(run: Run) -> list[str]:
    """The rows of the matrix, its heads left out."""
    _, after = re.split(r"^=+ verdict matrix =+$", run.output, flags=re.MULTILINE)
    return after.split("\n\n")[0].splitlines()[3:]


# What is refused


def refusal(run: Run) -> str:
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR, run.output
    lines = run.output.strip().splitlines()
    assert len(lines) == 1, run.output
    return lines[0]


def test_a_dtype_that_is_not_verified_is_refused_with_those_that_are(runs: Runs) -> None:
    line = refusal(runs(*RELU, "--dtype", "float8"))
    assert line.startswith("ERROR: --dtype float8: ")
    assert line.endswith(f"; choose from {', '.join(FORMATS)}")


def test_one_bad_dtype_among_good_ones_is_refused(runs: Runs) -> None:
    assert "--dtype half: " in refusal(runs(*RELU, "--dtype", "float32", "--dtype", "half"))


@pytest.mark.parametrize(
    "device",
    [
        "nonsense",
        "cpu:1:2",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        pytest.param(
            "mps",
            marks=pytest.mark.skipif(torch.mps.is_available(), reason="there is an MPS device"),
        ),
    ],
)
def test_a_device_that_is_not_here_is_refused(runs: Runs, device: str) -> None:
    line = refusal(runs(*RELU, "--device", device))
    assert line.startswith(f"ERROR: --device {device}: torch {torch.__version__} cannot use it")
    assert line.endswith("; install what it needs, or drop the option")


def test_a_folder_without_mnist_is_refused(runs: Runs, tmp_path: Path) -> None:
    line = refusal(runs(*RELU, "--mnist-root", str(tmp_path / "nowhere")))
    assert line.startswith("ERROR: --mnist-root or BACKPROOF_MNIST_ROOT: ")
    assert f"{tmp_path / 'nowhere'} does not exist: " in line


def test_an_unknown_fault_is_refused(runs: Runs) -> None:
    line = refusal(runs(*RELU, "-p", "tests.meta.faults.plugin", "--fault", "gremlins"))
    assert line.startswith("ERROR: --fault gremlins: no such fault; choose from control, ")


def test_the_shell_sees_the_refusal() -> None:
    """The one run here that is started as people start it."""
    command = [sys.executable, "-m", "pytest", *RELU, "-p", "no:cacheprovider", "--dtype", "float8"]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    run = Run(process.returncode, process.stdout + process.stderr)
    assert refusal(run).startswith("ERROR: --dtype float8: ")


# What is said


def test_a_healthy_run_succeeds(default: Run) -> None:
    assert default.exit_code == pytest.ExitCode.OK, default.output
    assert "DEVIATES" not in default.output


def test_the_matrix_prints_into_a_pipe_within_100_columns(default: Run) -> None:
    rows = matrix(default)
    assert [row.split()[0] for row in rows][:3] == ["relu", "output", "grad_input"]
    assert "\x1b" not in default.output
    section = default.output.partition("verdict matrix")[2]
    assert max(map(len, section.splitlines()[1:])) <= 100, section
    for name in FORMATS:
        assert name in section


def test_the_closing_line_counts(default: Run) -> None:
    closing = re.search(
        r"^([\d,]+) comparisons of ([\d,]+) elements in \d+ s; \d+\.\d\d % vacuous \(",
        default.output,
        re.MULTILINE,
    )
    assert closing, default.output
    rows = [row for row in matrix(default) if row.startswith("  ")]
    tried = sum(int(number) for row in rows for number in re.findall(r" (\d+)  \d\.\d{3}", row))
    assert int(closing[1].replace(",", "")) == tried > 0


def test_one_dtype_leaves_out_the_others_and_says_so(runs: Runs) -> None:
    run = runs(*RELU, "--dtype", "float32")
    assert run.exit_code == pytest.ExitCode.OK, run.output
    section = run.output.partition("verdict matrix")[2]
    left_out = "not verified: float64, bfloat16, float16 (not asked for)"
    assert left_out in section.splitlines()
    assert section.replace(left_out, "").count("float") == 1
    assert all(len(row) <= 50 for row in matrix(run) if re.match(r"  \S", row))  # no heading


def test_what_the_machine_lacks_is_said(default: Run) -> None:
    here = torch.cuda.is_available()
    told = "CUDA (ask for it with --device cuda)" if here else "CUDA (there is none here)"
    assert f"not verified: {told}" in default.output.splitlines()


def test_a_deviation_fails_the_run_and_shows_in_the_matrix(runs: Runs) -> None:
    fault = ("-p", "tests.meta.faults.plugin", "--fault", "relu-gradient-1-at-0")
    run = runs(RELU[0], "--hypothesis-profile", "ci", "--dtype", "float32", *fault)
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    (row,) = [row for row in matrix(run) if "DEVIATES" in row]
    assert row.startswith("  grad_input ")
    assert any(row.startswith("  output ") for row in matrix(run))
    assert "1 failed" in run.output


def test_collecting_only_collects(runs: Runs) -> None:
    run = runs("tests/layers", "--collect-only")
    assert run.exit_code == pytest.ExitCode.OK, run.output
    assert "tests/layers/test_relu.py::" in run.output
    assert "verdict matrix" not in run.output


def test_the_records_of_parallel_workers_are_merged(runs: Runs, tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    files = ["tests/clipping/test_clip_grad_value.py", "tests/initialization/test_constants.py"]
    arguments = [*files, "--dtype", "float32", "--hypothesis-profile", "quick"]
    arguments += ["--hypothesis-seed", "1"]
    futures = []
    for n in ("0", "2"):
        written = ("--junitxml", str(tmp_path / f"{n}.xml"), "--report", str(tmp_path / n))
        futures.append(runs.start(*arguments, *written, "-n", n))
    alone, parallel = (future.result() for future in futures)
    assert alone.exit_code == parallel.exit_code == pytest.ExitCode.OK, parallel.output
    assert matrix(parallel) == matrix(alone)  # the order, too, whichever worker was first
    pattern = r"[\d,]+ comparisons of [\d,]+ elements"
    assert re.findall(pattern, parallel.output) == re.findall(pattern, alone.output) != []
    assert parallel.output.count("not verified: CUDA") == 1
    assert properties(tmp_path / "2.xml") == properties(tmp_path / "0.xml") != []
    changes = compare(read(tmp_path / "0"), read(tmp_path / "2"))
    assert changes.keys() <= {"speed"}, "there is one report, of all workers"


def properties(junit: Path) -> list[tuple[str, str]]:
    """What JUnit's XML says of each row; Hypothesis adds its statistics."""
    elements = ElementTree.parse(junit).iter("property")
    said = sorted((e.attrib["name"], e.attrib["value"]) for e in elements)
    return [(name, value) for name, value in said if " on cpu (" in name]
