"""`pytest -p tests.meta.sensitivity.plugin --found FILE`: measure at each comparison of a run."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from tests.harness.examples import surround

INPUTS = {"drawn": None, "general": "uniform", "exact": "integers"}
"""The family that stands for all others: none, and the properties draw what they always draw."""

FOUND: list[list[Any]] = []
"""Of each comparison: component, output, dtype, test, example, and what `measure` returned."""


class Here:
    """Where the run is."""

    test, example = "", 0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backproof")
    group.addoption("--inputs", choices=list(INPUTS), default="drawn", help="what is drawn")
    group.addoption("--found", metavar="FILE", type=Path, help="where to write what is found")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw such inputs, and measure at each check, before a test imports either."""
    if config.getoption("--found") is None:
        return
    from tests.harness import verdict
    from tests.harness.formats import FORMATS
    from tests.harness.strategies.values import FAMILIES, SPECIALS
    from tests.meta.sensitivity.measure import measure

    inputs = config.getoption("--inputs")
    seed = int(config.getoption("--hypothesis-seed") or 0)
    sound = verdict.check

    def check(component: str, output: str, target: Any, actual: Any, expected: Any) -> None:
        sound(component, output, target, actual, expected)
        random = np.random.default_rng((seed, len(FOUND)))
        got = actual.detach().cpu().double().numpy()
        found = measure(got, expected, FORMATS[target.dtype], inputs == "exact", random)
        where = component, output, target.dtype, Here.test, Here.example
        FOUND.append([*where, found and [found.least, found.alarms]])

    verdict.check = check
    if family := INPUTS[inputs]:
        FAMILIES.update(dict.fromkeys(FAMILIES, FAMILIES[family]))
        SPECIALS.update(dict.fromkeys(SPECIALS, lambda fmt: 1.0))


def pytest_sessionstart() -> None:
    """A test of the inputs themselves may fail; then its case need not be small."""
    settings.register_profile("unshrunk", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("unshrunk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Know the example that is running."""
    surround(items, counted)


def counted(test: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        Here.example += 1
        return test(*args, **kwargs)

    return example


def pytest_runtest_setup(item: pytest.Item) -> None:
    Here.test, Here.example = item.nodeid, Here.example + 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    if file := session.config.getoption("--found"):
        from tests.harness.record import RECORD
        from tests.meta.tables import commit

        rows = [[row[1], row[3], dtype] for row, dtype in RECORD.tallies]
        found = {"commit": commit(), "rows": rows, "found": FOUND}
        file.write_text(json.dumps(found), "utf-8")
