"""The ledger of known deviations: narrow, complete, and unable to go out of date in silence."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.harness import deviations, plugin, verdict
from tests.harness.deviations import LedgerError, load
from tests.harness.record import Record, Tally
from tests.harness.report.terminal import cell, closing
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.verdict import Deviation, check
from tests.meta.faults.runs import Runs, open_runs

ENTRY = {
    "component": '"relu"',
    "outputs": '["output"]',
    "devices": '["cpu"]',
    "dtypes": '["float32"]',
    "paths": '["functional"]',
    "versions": '">=2"',
    "when": '"eight_elements_or_more"',
    "torch_does": '"something"',
    "it_should": '"do something else"',
    "how_large": '"1"',
    "upstream": '"unreported"',
    "date": "2026-01-01",
    "reproducer": '"script.py"',
}
CPU = Target("cpu", "float32", "functional")
ROW = ("cpu", "relu", "functional", "output")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "an-entry", **changed: str | None) -> Path:
        keys = ENTRY | changed
        lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
        path = tmp_path / "ledger.toml"
        path.write_text("\n".join([f"[{name}]", *lines]))
        (tmp_path / "script.py").touch()
        return path

    return write


@pytest.fixture
def record(written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of its own, and a ledger of one entry: relu in float32, of eight or more."""
    record, path = Record(), written()
    known = load(path)
    monkeypatch.setattr(deviations, "FOLDER", path.parent)
    for module in (verdict, plugin):
        monkeypatch.setattr(module, "RECORD", record)
        monkeypatch.setattr(module, "ledger", lambda: known)
    return record


def compare(size: int, off: float, target: Target = CPU, output: str = "output") -> None:
    expected = Rounding.kernel(target.dtype).array([1.0] * size)
    check(
        "relu", output, target, torch.full((size,), 1.0 + off, dtype=target.torch_dtype), expected
    )


def test_a_covered_comparison_that_deviates_passes_and_is_counted(record: Record) -> None:
    compare(8, off=1.0)
    tally = record.tallies[ROW, "float32"]
    assert (tally.examples, tally.known, tally.deviations, tally.worst_share) == (1, 1, 0, 0)
    assert cell(tally).split() == ["1", "1", "known"]
    assert "known deviation: an-entry, in 1 of 1 comparisons" in list(closing(record, 1.0))


@pytest.mark.parametrize(
    ("size", "target", "output"),
    [
        (7, CPU, "output"),
        (8, Target("cpu", "float64", "functional"), "output"),
        (8, Target("cpu", "float32", "module"), "output"),
        (8, CPU, "grad_input"),
    ],
)
def test_whatever_is_not_covered_is_still_refused(
    record: Record, size: int, target: Target, output: str
) -> None:
    with pytest.raises(Deviation):
        compare(size, 1.0, target, output)
    assert not record.ledger


def test_an_entry_that_does_not_say_when_covers_any_size(
    record: Record, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load(written(when=None))
    monkeypatch.setattr(verdict, "ledger", lambda: known)
    compare(7, off=1.0)
    assert record.tallies[ROW, "float32"].known == 1


def test_another_version_is_not_covered(
    record: Record, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load(written(versions='"<2"'))
    monkeypatch.setattr(verdict, "ledger", lambda: known)
    with pytest.raises(Deviation):
        compare(8, off=1.0)


@pytest.mark.parametrize(("status", "gone"), [(0, True), (1, False)])
def test_an_entry_of_which_nothing_deviates_any_more_fails_the_run(
    record: Record, status: int, gone: bool
) -> None:
    """Chance may agree with torch; the reproducer does not."""
    (deviations.FOLDER / "script.py").write_text(f"raise SystemExit({status})")
    assert not list(plugin.outdated())  # nothing was compared
    compare(8, off=0.0)
    lines = list(plugin.outdated())
    assert [line.startswith("outdated: [an-entry]") for line in lines] == [True] * gone
    session: Any = SimpleNamespace(config=SimpleNamespace(), exitstatus=pytest.ExitCode.OK)
    plugin.pytest_sessionfinish(session)
    assert session.exitstatus == (pytest.ExitCode.TESTS_FAILED if gone else pytest.ExitCode.OK)
    compare(8, off=1.0)
    assert not list(plugin.outdated())


def test_what_workers_saw_of_an_entry_adds_up() -> None:
    one, other = Record(), Record()
    one.replayed("an-entry", 3, 0)
    other.replayed("an-entry", 1, 2)
    one.merge(other.dump())
    assert one.ledger == {"an-entry": (4, 2)}
    assert Tally(known=1) != Tally()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"it_should": None}, "missing: it_should"),
        ({"because": '"so"'}, "unknown: because"),
        ({"torch_does": '""'}, "says nothing: torch_does"),
        ({"dtypes": '["float8"]'}, "dtypes: float8 is not verified here"),
        ({"when": '"full_moon"'}, "when: choose from always"),
        ({"versions": '"new"'}, "versions: Invalid specifier"),
        ({"reproducer": '"gone.py"'}, "reproducer: gone.py is not beside the ledger"),
        ({"date": "soon"}, "not TOML"),
        ({"date": '"2026-01-01"'}, "date: '2026-01-01' is no date"),
        ({"dtypes": '"float32"'}, "dtypes: 'float32' is no list"),
        ({"upstream": '"none"'}, 'upstream: give an address, or "unreported"'),
        ({"upstream": '""'}, "says nothing: upstream"),
    ],
)
def test_an_entry_that_cannot_be_used_is_one_clear_line(
    written: Callable[..., Path], changed: dict[str, str | None], message: str
) -> None:
    with pytest.raises(LedgerError) as caught:
        load(written(**changed))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("ledger.toml: ")


def test_an_entry_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "ledger.toml"
    path.write_text("an-entry = 1")
    with pytest.raises(LedgerError, match=r"^ledger.toml: \[an-entry\] is no table$"):
        load(path)


@pytest.fixture(scope="module")
def replays() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


def test_such_an_entry_ends_a_run_before_it_starts(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(because='"so"')
    monkeypatch.setattr(plugin, "ledger", lambda: load(path))
    config: Any = SimpleNamespace(getoption=lambda name: None, add_cleanup=lambda undo: None)
    with pytest.raises(pytest.UsageError, match=r"^ledger\.toml: \[an-entry\] unknown: because$"):
        plugin.pytest_configure(config)


@pytest.mark.parametrize("known", load(), ids=lambda known: known.id)
def test_each_reproducer_deviates_where_the_ledger_says_so(
    replays: Runs, known: deviations.KnownDeviation
) -> None:
    """In a fork of a process that has imported torch already, as each would for seconds."""
    run = replays.script(deviations.FOLDER / known.reproducer).result()
    assert run.exit_code == int(known.applies), run.output


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        ("", "does not deviate"),
        ("raise SystemExit(1)", "deviates"),
        ("raise SystemExit(2)", "crashed"),
        ("raise RuntimeError('refused')", "crashed"),  # with Python's own exit status, 1
        ("import os; os.abort()", "crashed"),
    ],
)
def test_a_reproducer_that_crashes_proves_nothing(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, script: str, verdict: str
) -> None:
    path = written()
    (path.parent / "script.py").write_text(script)
    (known,) = load(path)
    monkeypatch.setattr(deviations, "FOLDER", path.parent)
    assert known.replayed[0] == verdict
