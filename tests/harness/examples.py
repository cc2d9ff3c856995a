"""What surrounds each example of a property."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., Any]


def surround(items: Iterable[pytest.Item], wrapped: Callable[[Test], Test]) -> None:
    """Wrap the body of every property, once: the items of a parametrized one have it in common."""
    bodies = (getattr(getattr(item, "obj", None), "hypothesis", None) for item in items)
    for body in {id(body): body for body in bodies if body}.values():
        body.inner_test = wrapped(body.inner_test)
