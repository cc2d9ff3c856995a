"""A soak adds its rounds up, names each alarm with its seed, and fails then only."""

from typing import Any

import pytest

from tests.meta import soak


def a_report(failures: list[dict[str, str]]) -> dict[str, Any]:
    row = {"device": "cpu", "component": "linear", "path": "functional", "output": "output"}
    numbers = {"examples": 50, "elements": 400, "vacuous": 0.02, "deviations": len(failures)}
    worst = {
        "worst_share": 0.5,
        "worst_ulp": None,
        "known": 0,
        "shares": [40, 0, 0, 0, 0, 10, *4 * [0]],
    }
    return {
        "rows": [{**row, "dtype": "float32", **numbers, **worst}],
        "failures": failures,
        "run": {"exit_status": int(bool(failures))},
        "not_verified": ["CUDA (there is none here)"],
    }


def soaked(
    monkeypatch: pytest.MonkeyPatch, *options: str, failures: list[dict[str, str]] | None = None
) -> tuple[int, list[tuple[int, int, list[str]]]]:
    """The exit status, and each round's seed, threads and other arguments."""
    rounds: list[tuple[int, int, list[str]]] = []

    def one_round(seed: int, threads: int, others: list[str]) -> dict[str, Any]:
        rounds.append((seed, threads, others))
        return a_report(failures or [])

    monkeypatch.setattr(soak, "one_round", one_round)
    monkeypatch.setattr("sys.argv", ["soak", *options])
    return soak.main(), rounds


def test_rounds_add_up_on_one_two_and_four_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, rounds = soaked(monkeypatch, "--seeds", "7,8,9", "--dtype", "float32")
    assert (status, rounds) == (0, [(7 + i, 2**i, ["--dtype", "float32"]) for i in range(3)])
    printed = capsys.readouterr().out
    assert "150 comparisons of 1,200 elements" in printed
    assert "2.00 % vacuous" in printed
    assert "|▃    ▂    | 0.500" in printed
    assert printed.endswith("0 alarms\n")


def test_fresh_seeds_until_enough_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rounds = soaked(monkeypatch, "--comparisons", "101")
    assert len({seed for seed, _, _ in rounds}) == 3


def test_an_alarm_fails_and_says_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wolf = {
        "test": "tests/layers/test_linear.py::test_it",
        "message": "linear deviates",
        "text": "",
    }
    status, _ = soaked(monkeypatch, "--seeds", "7", failures=[wolf])
    printed = capsys.readouterr().out
    assert status == 1
    assert (
        "tests/layers/test_linear.py::test_it --hypothesis-seed 7\n    linear deviates" in printed
    )
