"""The report: its data as the schema says, its page in a browser, and two of them compared."""

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.harness.record import Benchmark, Record, Tally
from tests.harness.report import __main__ as command
from tests.harness.report import data as data_
from tests.harness.report.compare import compare
from tests.harness.report.data import report
from tests.harness.report.files import KEYS, ReportError, draw, read, write
from tests.harness.report.page import page
from tests.meta.faults.runs import open_runs

SCHEMA = json.loads(Path(data_.__file__).with_name("schema.json").read_text("utf-8"))
RUN = {
    "date": "2026-01-01T00:00:00+00:00",
    "profile": "quick",
    "seed": None,
    "arguments": ["tests/layers"],
    "seconds": 2.0,
    "exit_status": 1,
}
SCRIPT = "print('<&\"')\nraise SystemExit(1)\n"
FAILURE = {
    "test": "tests/layers/test_relu.py::test_" + "a_long_name_" * 9,
    "message": "relu: <script>alert(1)</script>\n" + "wide " * 60,
    "text": "all of it",
    "reproducers": [{"file": "relu.py", "script": SCRIPT}],
}
Report = dict[str, Any]


def record() -> Record:
    """A run that has seen one of everything."""
    right = Tally(40, 400, 1.0, 0.75, 1.5, 0, 0, [20, 5, 5, 3, 2, 2, 2, 1, 0, 0])
    cells = {
        ("functional", "output", "float32"): right,
        ("a door of a very long name", "output", "float32"): right,
        ("functional", "output", "float16"): Tally(9, 9, known=9),
        ("functional", "grad_input", "float32"): Tally(2, 2, 0.0, float("inf"), 3.0, 1),
    }
    tallies = {
        (("cpu", "relu", path, output), dtype): t for (path, output, dtype), t in cells.items()
    }
    tallies[("cpu", "sgd", "fused", "param"), "float16"] = Tally(3, 3, known=2)
    norms = {"weight": [0.1 / i for i in range(1, 1000)], "bias": [0.0, float("nan")]}
    return Record(
        tallies,
        notes=["CUDA (there is none here)"],
        ledger={"fused-sgd-skips-half-vectors": (1, 2)},
        curves={
            "mnist": {
                "loss": {"torch": [2.0, 1.0], "NumPy": [2.0, 1.0]},
                "error / bound": {"loss": [0.0, 0.0]},
                "% of the batch known": {"torch": [10.0, 90.0]},
                "norm of the gradient": norms,
            },
            "interrupted": {},
        },
        benchmarks=[
            Benchmark("linear", side, size, seconds * size)
            for side, seconds in (("torch", 1e-6), ("reference", 1e-3))
            for size in (8, 8000)
        ],
    )


@pytest.fixture(scope="module")
def whole() -> Report:
    return json.loads(json.dumps(report(record(), RUN, [FAILURE], ("cpu",)), allow_nan=False))


def valid(whole: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(whole)


# The data


def test_the_report_of_everything_is_as_its_schema_says(whole: Report) -> None:
    valid(whole)
    assert whole["curves"]["mnist"]["norm of the gradient"]["bias"] == [0.0, None]
    infinite = next(row for row in whole["rows"] if row["output"] == "grad_input")
    assert infinite["worst_share"] is None
    (known,) = whole["known_deviations"]
    assert (known["id"], known["deviate"]) == ("fused-sgd-skips-half-vectors", 2)


def test_the_schema_says_what_each_key_means_and_allows_no_other(whole: Report) -> None:
    for changed in (whole | {"more": 1}, whole | {"schema": 2}, {"schema": 1}):
        with pytest.raises(jsonschema.ValidationError):
            valid(changed)


def test_a_failing_run_writes_both_files(tmp_path: Path) -> None:
    fault = ("-p", "tests.meta.faults.plugin", "--fault", "relu-gradient-1-at-0")
    with open_runs() as runs:
        run = runs(
            *("tests/layers/test_relu.py", "--dtype", "float32", "--hypothesis-seed", "3"),
            *("--hypothesis-profile", "quick-unshrunk", "--report", str(tmp_path), *fault),
        )
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, run.output
    files = f"{tmp_path / 'report.json'} and {tmp_path / 'report.html'}"
    assert f"report: {files}" in run.output.splitlines()
    seen = read(tmp_path)
    valid(seen)
    assert [f["test"].rpartition("::")[2] for f in seen["failures"]] == [
        "test_relu_and_its_gradient_equal_the_reference"
    ]
    assert seen["run"]["seed"] == "3"
    assert any(row["deviations"] for row in seen["rows"])
    assert "1 failed" in (tmp_path / "report.html").read_text("utf-8")


def test_a_run_without_comparisons_praises_nothing(whole: Report, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"rows": [], "failures": [], "curves": {}, "benchmarks": []}
    write(tmp_path, whole | nothing | {"run": RUN | {"exit_status": 0}})
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "nothing was compared" in text
    assert "computes what" not in text


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with open_runs() as runs:
        run = runs("tests/layers/test_relu.py", "--report", str(tmp_path / "file" / "folder"))
    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert run.errors == [
        f"ERROR: --report {tmp_path}/file/folder: cannot be made (Not a directory)"
    ]


# The page


def test_the_page_has_all_of_it(whole: Report, tmp_path: Path) -> None:
    table = {"heads": ["output", "backproof"], "rows": [["relu output", "1, 1"]]}
    (tmp_path / "sensitivity.json").write_text(json.dumps(table))
    write(tmp_path, whole)
    text = (tmp_path / "report.html").read_text("utf-8")
    for title in ("Failures", "matrix", "Training", "Sensitivity", "Speed", "deviations"):
        assert re.search(rf"<h2[^>]*>.*{title}", text), title
    assert "<script" not in text
    assert text.count('role="img"') == 5 + 5  # histograms and charts
    assert "1000.0 x" in text  # a reference, beside torch
    (address,) = re.findall(r'download="relu.py" href="([^"]+)"', text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["report", "render", str(tmp_path)])
        assert command.main() == 0
    assert address in (tmp_path / "report.html").read_text("utf-8")
    assert "Training" not in page(whole | {"curves": {}})


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_page_fits_a_phone_and_asks_nobody_for_anything(whole: Report, tmp_path: Path) -> None:
    draw(tmp_path, whole)
    page = html.escape((tmp_path / "report.html").read_text("utf-8"))
    frames = "".join(f'<iframe width="{w}" srcdoc="{page}"></iframe>' for w in (360, 1000, 1600))
    measure = """<script>onload = () => { document.title = JSON.stringify(
        [...document.querySelectorAll("iframe")].map(frame => {
            const page = frame.contentDocument;
            page.querySelectorAll("details").forEach(x => { x.open = true });
            const {scrollWidth, clientWidth} = page.documentElement;
            return [scrollWidth - clientWidth, page.querySelectorAll("svg").length];
        })) }</script>"""
    (tmp_path / "frames.html").write_text(frames + measure, "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    run = subprocess.run(
        [str(CHROMIUM), *options, "--dump-dom", f"file://{tmp_path}/frames.html"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    title = re.search("<title>(.*?)</title>", run.stdout)
    assert title, run.stderr
    assert json.loads(html.unescape(title[1])) == [[0, 10]] * 3
    assert "CONSOLE" not in run.stderr, run.stderr


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("jinja2", "no report.html (jinja2 is not installed)"),
        ("matplotlib", "report.html, without the curves of report.html (matplotlib is not"),
    ],
)
def test_what_is_missing_is_told_in_a_line(
    whole: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("page", "charts"):
        monkeypatch.delitem(sys.modules, f"tests.harness.report.{module}", raising=False)
    monkeypatch.setattr(data_, "find_spec", lambda name: name != package)
    monkeypatch.setattr(data_, "PACKAGES", ("torch", "surely-not-installed"))
    lacking = report(record(), RUN, [], ("cpu",))
    assert list(lacking["switched_off"]) == [package]
    assert told in write(tmp_path, lacking)
    assert (tmp_path / "report.json").is_file()


# Two of them


def changed(whole: Report, change: Callable[[Report], Any]) -> Report:
    copy: Report = json.loads(json.dumps(whole))
    change(copy)
    return copy


def all_right(whole: Report) -> None:
    for row in whole["rows"]:
        row["deviations"] = 0
    whole["failures"].clear()


def slower(whole: Report) -> None:
    whole["benchmarks"][0]["seconds"] *= 2
    whole["benchmarks"][1]["size"] += 1
    whole["run"]["seconds"] *= 2


def nearer(whole: Report) -> None:
    for row in whole["rows"]:
        row["shares"].reverse()


def blinder(whole: Report) -> None:
    whole["rows"][0]["vacuous"] = 0.5


ROW = "relu (functional), grad_input, float32"
KNOWN = "fused-sgd-skips-half-vectors: torch leaves each full vector"


@pytest.mark.parametrize(
    ("change", "there", "back"),
    [
        (all_right, {"rows fixed": ROW, "tests fixed": FAILURE["test"]}, {}),
        (lambda x: None, {"rows failing as before": ROW}, {"rows failing as before": ROW}),
        (
            lambda x: x["known_deviations"].clear(),
            {"deviations gone": KNOWN},
            {"deviations appeared": KNOWN},
        ),
        (lambda x: x["rows"].pop(0), {"rows gone": "relu on cpu: 1"}, {"rows new": "relu on cpu"}),
        (blinder, {"bounds that say less": "relu (functional), output, float32 2 -> 50 %"}, {}),
        (nearer, {"bounds approached": "relu (functional), output, float32 0.75 -> 0.75"}, {}),
        (
            lambda x: x["not_verified"].clear(),
            {"verified now": "CUDA"},
            {"not verified any more": "CUDA"},
        ),
        (
            lambda x: x["environment"].update(torch="2.99"),
            {"environment": "torch: "},
            {"environment": "torch: 2.99 -> "},
        ),
        (
            slower,
            {"speed": "comparisons in a second: 47 -> 24\nlinear, torch, 8: 2.00 times as long"},
            {"speed": "comparisons in a second: 24 -> 47\nlinear, torch, 8: 0.50 times as long"},
        ),
        (
            lambda x: [row.update(device="cuda") for row in x["rows"]],
            {"rows failing as before": ROW},
            {},
        ),
    ],
)
def test_what_changed_is_told(
    whole: Report,
    change: Callable[[Report], Any],
    there: dict[str, str],
    back: dict[str, str],
) -> None:
    other = changed(whole, change)
    for told, changes in ((there, compare(whole, other)), (back, compare(other, whole))):
        for title, text in told.items():
            assert text in "\n".join(changes[title])


@pytest.mark.parametrize("rich", [True, False])
def test_a_regression_is_an_exit_status(
    whole: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rich: bool,
) -> None:
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    (tmp_path / "worse.json").write_text(json.dumps(whole))
    (tmp_path / "better.json").write_text(json.dumps(changed(whole, all_right)))

    def run(old: str, new: str) -> tuple[int, str, str]:
        names = [str(tmp_path / old), str(tmp_path / new)]
        monkeypatch.setattr(sys, "argv", ["report", "compare", *names])
        return command.main(), *capsys.readouterr()

    status, output, _ = run("better.json", "worse.json")
    assert status == 1
    assert output.startswith(
        f"rows newly failing:\n  {ROW} infinite\n"
        f"tests newly failing:\n  {FAILURE['test']}: relu: <script>alert(1)</script>\n"
    )
    assert run("worse.json", "better.json")[0] == 0
    status, output, error = run("worse.json", "gone.json")
    assert (status, output) == (2, "")
    assert error == f"{tmp_path}/gone.json: cannot be read (No such file or directory)\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<html>", "not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[]", "no report of Backproof"),
        ('{"schema": 99}', "schema 99, and this reads schema 1"),
        ('{"schema": 1}', f"without {', '.join(KEYS[1:])}"),
    ],
)
def test_what_is_no_report_is_refused_in_a_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}/report.json: {told}"


def test_a_report_that_its_schema_does_not_know_is_refused(whole: Report) -> None:
    with pytest.raises(ReportError, match=r"not as schema\.json says: KeyError"):
        compare(whole, changed(whole, lambda x: x["rows"][0].pop("dtype")))
    infinite = changed(whole, lambda x: x["rows"][0].update(shares=[0] * 10))
    assert "bounds approached" not in compare(whole, infinite)


def test_what_one_run_did_not_look_at_is_no_news(whole: Report) -> None:
    smaller = changed(whole, lambda x: (x["rows"].pop(), x["known_deviations"].clear()))
    assert compare(smaller, whole).keys() & {"deviations appeared", "rows new"} == {"rows new"}
