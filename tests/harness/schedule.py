"""The order of the tests: with several workers the long ones are spread, so that all end together.

pytest-xdist gives each worker a stretch of the tests, and hands over what another has not begun.
The long ones, marked so, are put at even distances: each worker begins with its share of them.
"""

import pytest

NUMBER = pytest.StashKey[int]()  # of a test, in the order of the files


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes a good part of a run, so workers begin with it")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for number, item in enumerate(items):
        item.stash[NUMBER] = number
    long = [item for item in items if item.get_closest_marker("long")]
    if long and hasattr(config, "workerinput"):
        short = [item for item in items if not item.get_closest_marker("long")]
        share = -(-len(short) // len(long))
        items.clear()
        for i, first in enumerate(long):
            items += [first, *short[i * share : (i + 1) * share]]
