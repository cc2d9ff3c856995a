"""The order of the tests: long ones at even distances, where several workers share them."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness import schedule


def items(names: str) -> list[Any]:
    """A test for each letter; of those in capitals the marker says that they are long."""

    def item(name: str) -> Any:
        marked = {"long"} if name.isupper() else set()
        return SimpleNamespace(
            name=name, stash={}, get_closest_marker=lambda kind: kind in marked or None
        )

    return [item(name) for name in names]


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("abcdEfgH", "EabcHdfg"),  # two workers, of four tests each, begin with a long one
        ("abcdeFG", "FabcGde"),
        ("Aa", "Aa"),
        ("AB", "AB"),
        ("abc", "abc"),
    ],
)
def test_workers_begin_with_long_tests(given: str, ordered: str) -> None:
    tests, alone = items(given), items(given)
    worker: Any = SimpleNamespace(workerinput={})
    one_process: Any = SimpleNamespace()
    schedule.pytest_collection_modifyitems(worker, tests)
    assert "".join(test.name for test in tests) == ordered
    assert [given[test.stash[schedule.NUMBER]] for test in tests] == list(ordered)
    schedule.pytest_collection_modifyitems(one_process, alone)
    assert "".join(test.name for test in alone) == given
