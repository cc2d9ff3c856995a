"""The verdict matrix: what was verified, in as few lines as tell it."""

import pytest

from tests.harness.record import Record, Tally
from tests.harness.report.terminal import matrix, properties
from tests.meta.faults.runs import REPOSITORY


def record(*tallies: tuple[str, str, str, str, Tally]) -> Record:
    """Each tally after its component, path, output and dtype."""
    return Record(
        {
            (("cpu", part, path, output), dtype): tally
            for part, path, output, dtype, tally in tallies
        }
    )


def test_the_sample_in_the_readme_is_what_prints() -> None:
    figures = {
        "float64": Tally(300, 0, 0.0, 0.2384, 12.04),
        "float32": Tally(300, 0, 0.0, 0.9584, 75.24),
        "bfloat16": Tally(300, 0, 0.0, 0.9996, 1.04),
        "float16": Tally(300, 0, 0.0, 0.9984, 0.54),
    }
    rows = [
        ("linear", "functional, module, vjp", "output", dtype, tally)
        for dtype, tally in figures.items()
    ]
    sample = (REPOSITORY / "README.md").read_text().split("```text\n")[1].split("```")[0]
    assert "\n".join(matrix(record(*rows))) == sample.rstrip("\n")


def test_paths_share_a_section_with_the_worst_of_them() -> None:
    seen = record(
        ("linear", "functional", "output", "float32", Tally(2, 0, 0.0, 0.25, 7.0)),
        ("linear", "vjp", "output", "float32", Tally(3, 0, 0.0, 0.5, 1.0)),
        ("linear", "vjp", "grad_input", "float32", Tally(4, 0, 0.0, 0.125, 2.0)),
    )
    _, _, heading, output, grad_input = matrix(seen)
    assert heading == "linear on cpu (functional, vjp)"
    assert output.split() == ["output", "5", "0.500", "7.0"]
    assert grad_input.split() == ["grad_input", "4", "0.125", "2.0"]
    headings = [line for line in matrix(seen, by_path=True) if " on cpu " in line]
    assert headings == ["linear on cpu (functional)", "linear on cpu (vjp)"]


def test_where_one_path_deviates_each_has_its_section() -> None:
    seen = record(
        ("linear", "functional", "output", "float32", Tally(2)),
        ("linear", "vjp", "output", "float32", Tally(3, deviations=1)),
        ("relu", "functional", "output", "float32", Tally(4)),
        ("relu", "vjp", "output", "float32", Tally(4)),
    )
    assert [line.split()[:4] for line in list(matrix(seen))[2:]] == [
        ["linear", "on", "cpu", "(functional)"],
        ["output", "2", "0.000", "0.0"],
        ["linear", "on", "cpu", "(vjp)"],
        ["output", "DEVIATES"],
        ["relu", "on", "cpu", "(functional,"],
        ["output", "8", "0.000", "0.0"],
    ]


def test_a_component_has_one_section_however_late_a_row_of_it_appears() -> None:
    seen = record(
        ("linear", "functional", "output", "float32", Tally(1, test=0)),
        ("relu", "functional", "output", "float32", Tally(1, test=1)),
        ("linear", "functional", "grad_bias", "float32", Tally(1, test=0)),
    )
    names = [line.split()[0] for line in list(matrix(seen))[2:]]
    assert names == ["linear", "output", "grad_bias", "relu", "output"]


def test_rows_keep_the_order_of_the_tests_whichever_worker_was_first() -> None:
    seen = record(
        ("relu", "functional", "output", "float32", Tally(1, test=3)),
        ("linear", "functional", "output", "float32", Tally(1, test=2)),
    )
    late = record(("relu", "functional", "output", "float32", Tally(1, test=1)))
    seen.merge(late.dump())
    assert [line.split()[0] for line in list(matrix(seen))[2::2]] == ["relu", "linear"]


@pytest.mark.parametrize("examples", [1, 99_999, 100_000, 9_999_999])
@pytest.mark.parametrize("ulp", [0.0, 9.96, 998.96, 999.4, 123456.0, 1e300])
def test_columns_stand_apart_whatever_the_numbers(examples: int, ulp: float) -> None:
    tally = Tally(examples, 0, 0.0, 0.9999, ulp)
    dtypes = ("float64", "float32", "bfloat16", "float16")
    lines = list(matrix(record(*(("relu", "vjp", "output", dtype, tally) for dtype in dtypes))))
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == list(dtypes)
    assert lines[1].split() == ["tried", "/bound", "ulp"] * 4
    assert len(lines[3].split()) == 1 + 3 * 4
    assert {len(line) for line in (lines[0], lines[1], lines[3])} == {100}


def test_long_names_leave_the_columns_where_they_are() -> None:
    door, output = "a way into torch by many turns", "the output of a function that has many"
    seen = record(
        *(("linear", f"{door} {i}", output, "float32", Tally(2)) for i in range(5)),
        ("linear", f"{door} 0", "exactly 22 characters.", "float32", Tally(2)),
    )
    lines = list(matrix(seen))
    assert max(map(len, lines)) <= 100
    assert lines[-3].strip() == output
    assert lines[-2].split() == ["10", "0.000", "0.0"]
    assert lines[-1].split()[3:] == ["2", "0.000", "0.0"]
    assert len(lines[-1]) == len(lines[-2]) == len(lines[0])


def test_a_row_is_a_property_of_junit() -> None:
    seen = record(("linear", "vjp", "output", "float32", Tally(3, 30, 0.0, 0.5, 1.25, 1, 2)))
    assert list(properties(seen)) == [
        (
            "linear on cpu (vjp), output, float32",
            "examples=3 elements=30 worst_share=0.5 worst_ulp=1.25 deviations=1 known=2",
        )
    ]
