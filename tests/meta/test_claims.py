"""The claims: each has its test, and the page of their verdicts is the one that they produce."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claims.claim import IDS, Claim, does_not_hold, holds
from tests.claims.table import Row, plain, table
from tests.meta.faults.runs import REPOSITORY, Runs, open_runs
from tests.meta.verified import VERIFIED

PAGE = (REPOSITORY / "tests/CLAIMS.md").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


def test_there_are_69_claims() -> None:
    assert len(set(IDS)) == len(IDS) == 69


def test_each_claim_has_its_line_on_the_page() -> None:
    told = re.findall(r"^\| \**([A-Z]\d+)\** \|", "\n".join(PAGE), re.MULTILINE)
    assert sorted(told) == sorted(IDS)


@pytest.mark.parametrize("selection", [("-k", "T5"), ("-m", 'claim(id="T5")')], ids=["k", "m"])
def test_one_claim_is_found_by_its_id(runs: Runs, selection: tuple[str, ...]) -> None:
    collected = runs("tests/tensors", *selection, "--collect-only")
    tests = [line for line in collected.output.splitlines() if "::" in line]
    assert [line.rpartition("[")[2] for line in tests] == ["T5]"], collected.output


def test_the_page_is_what_the_tests_show(runs: Runs, tmp_path: Path) -> None:
    """Each line comes from a test; that of N3 is only looked for, as it takes a training run."""
    page = tmp_path / "CLAIMS.md"
    quick = ("--hypothesis-profile", "quick", "--hypothesis-seed", "1")
    run = runs(*VERIFIED, "-m", "claim", "-k", "not N3", *quick, "--claims", str(page))
    assert run.exit_code == pytest.ExitCode.OK, run.output
    assert page.read_text("utf-8").splitlines() == [
        line for line in PAGE if not line.startswith("| N3 |")
    ], "write it again: pytest -m claim --claims tests/CLAIMS.md"
    found = runs("tests/training/test_mnist.py", "-k", "N3", "--collect-only").output
    assert re.search(r"\[.*\bN3\]", found), found


def test_a_claim_that_fails_is_not_settled(runs: Runs, tmp_path: Path) -> None:
    test = tmp_path / "test_wrong.py"
    test.write_text(
        "from tests.claims.claim import holds\n"
        "@holds('T1', 'one is two')\n"
        "def test_it(claim):\n    claim.shows('1')\n    assert 1 == 2\n"
    )
    run = runs(str(test), "-c", "pyproject.toml", "-p", "tests.claims.plugin")
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, run.output
    assert re.search(r"T1 +one is two +NOT SETTLED +1", run.output), run.output


def test_an_unknown_claim_and_a_second_declaration_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.claims.claim.DECLARED", {})
    with pytest.raises(ValueError, match="claim X1: no such claim"):
        holds("X1", "x")
    holds("T1", "one is one")
    with pytest.raises(ValueError, match="claim T1: it is declared twice"):
        does_not_hold("T1", "one is one", "it is not")


@pytest.mark.parametrize("draw", [plain, lambda rows: table(rows, colours=False)])
def test_the_table_keeps_brackets_and_bars(draw) -> None:
    """Which rich would take for its markup, and Markdown for the end of a cell."""
    row = Row(Claim("C1", "into [-c, c]", "holds", "|x| <= c", "[red]"), True)
    drawn = draw([row])
    for part in ("C1", "into [-c, c]", "holds", "|x| <= c", "[red]"):
        assert part in drawn
