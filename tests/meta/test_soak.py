"""A soak adds its rounds up, in each setting, and fails where there are alarms, which it names."""

from pathlib import Path

import pytest

from tests.harness.record import Tally
from tests.meta.soak import __main__ as soak
from tests.meta.soak.rounds import Memory, Round, Setting, Soak, one_round
from tests.meta.soak.table import bars, page

WOLF = {"test": "tests/layers/test_linear.py::test_it", "message": "linear deviates", "text": ""}


def a_round(setting: Setting, seed: int, failures: list[dict[str, str]]) -> Round:
    row = {"device": "cpu", "component": "linear", "path": "functional", "output": "output"}
    numbers = {"examples": 50, "elements": 400, "vacuous": 0.02, "deviations": len(failures)}
    shares = [40, 0, 0, 0, 0, 10, *4 * [0]]
    worst = {"worst_share": 0.5, "worst_ulp": None, "known": 0, "shares": shares}
    report = {
        "rows": [{**row, "dtype": "float32", **numbers, **worst}],
        "failures": failures,
        "run": {"exit_status": int(bool(failures)), "seconds": 3.0, "profile": "soak"},
        "environment": {"torch": "2.15.0", "python": "3", "numpy": "2", "hypothesis": "6"}
        | {"system": "Linux"},
        "not_verified": ["CUDA (there is none here)"],
    }
    memory = [Memory(500.0, 550.0, "test_relu"), Memory(500.0, 600.0, "test_linear")]
    return Round(setting, seed, report, memory, "abc1234")


def soaked(
    monkeypatch: pytest.MonkeyPatch, *options: str, failures: list[dict[str, str]] | None = None
) -> tuple[int, list[tuple[Setting, int, list[str]]]]:
    """The exit status, and each round's setting, seed and other arguments."""
    rounds: list[tuple[Setting, int, list[str]]] = []

    def one_round(setting: Setting, seed: int, others: list[str]) -> Round:
        rounds.append((setting, seed, others))
        return a_round(setting, seed, failures or [])

    monkeypatch.setattr(soak, "one_round", one_round)
    monkeypatch.setattr("sys.argv", ["soak", *options])
    return soak.main(), rounds


def test_rounds_add_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, rounds = soaked(monkeypatch, "--seeds", "7,8,9", "--dtype", "float32")
    assert (status, rounds) == (0, [(Setting(), 7 + i, ["--dtype", "float32"]) for i in range(3)])
    printed = capsys.readouterr().out
    assert "seed 9: 0 alarms, 500 to 600 MiB (most by test_linear); 150" in printed
    assert "150 comparisons of 1,200 elements" in printed
    assert "2.00 % vacuous" in printed
    assert "|▃    ▂    | 0.500" in printed


def test_every_setting_changes_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--threads", "2", "--threads", "4", "--without-onednn", "--python", "other")
    _, rounds = soaked(monkeypatch, "--seeds", "7", *options)
    expected = [
        *(Setting(), Setting(threads=2), Setting(threads=4)),
        *(Setting(onednn=False), Setting(python="other")),
    ]
    assert [setting for setting, _, _ in rounds] == expected


def test_fresh_seeds_until_enough_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rounds = soaked(monkeypatch, "--comparisons", "101", "--threads", "2", "--each", "51")
    assert [setting.threads for setting, _, _ in rounds] == [1, 1, 1, 2, 2]
    assert len({seed for _, seed, _ in rounds}) == 5


def test_an_alarm_fails_and_says_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = soaked(monkeypatch, "--seeds", "7", failures=[WOLF])
    printed = capsys.readouterr().out
    assert status == 1
    assert f"{WOLF['test']} --hypothesis-seed 7\n    linear deviates" in printed


def test_an_interrupted_soak_goes_on_after_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = ("--log", str(tmp_path / "log"))
    soaked(monkeypatch, "--seeds", "7", *log)
    _, rounds = soaked(monkeypatch, "--comparisons", "101", *log)
    assert len(rounds) == 2
    assert "150 comparisons of 1,200 elements" in capsys.readouterr().out


def test_the_page_has_every_setting_and_every_row() -> None:
    soaks = {}
    for threads in (1, 2):
        setting = Setting(threads=threads)
        soaks[setting] = Soak()
        soaks[setting].add(a_round(setting, 7, [WOLF]))
    text = page(soaks, "python -m tests.meta.soak")
    for threads in (1, 2):
        start = f"| 2.15.0 | {threads} | on | soak | 1 | 50 | 400 | 1 |"
        assert f"{start} 0.5000 | 2.00 % | 500 | 600 | 3 |" in text
    assert (
        "| linear: output | float32 | 50 | 40 |  |  |  |  | 10 |  |  |  |  | 0.500 | 2.0 |  |"
        in text
    )
    assert "at commit abc1234, with\ntorch 2.15.0, python 3, " in text
    assert f"- {WOLF['test']} --hypothesis-seed 7" in text


def test_bars_are_logarithms() -> None:
    assert bars(Tally(shares=[0, 1, 9, 10, 99, 100, 10**6, 10**9, 0, 1])) == " ▁▁▂▂▃▇█ ▁"


def test_a_round_is_a_run_of_pytest_in_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)  # so that one process does it all
    quick = ["tests/clipping/test_clip_grad_value.py", "--hypothesis-profile", "quick"]
    one = one_round(Setting(threads=2, onednn=False), 7, quick)
    switches = one.report["switches"]
    assert (switches["threads"], switches["mkldnn"]) == (2, False)
    assert one.report["run"]["profile"] == "quick"
    assert one.alarms == []
    ((start, end, test),) = one.memory
    assert 10 < start <= end
    assert test.startswith("tests/clipping/test_clip_grad_value.py::")
    soak = Soak()
    soak.add(Round.load(one.dump()))
    assert soak.total.examples == soak.comparisons > 10
    assert {component for component, _ in soak.rows} == {"clip_grad_value"}
