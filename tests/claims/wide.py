"""The targets of claims about formulas, for which two dtypes say as much as four."""

from collections.abc import Iterator

from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets


def wide(targets: Targets, path: str = "functional") -> Iterator[tuple[Target, Rounding]]:
    """float64 and float32, in which whole formulas and single operations round alike."""
    for dtype, paths in targets.by_dtype(path):
        if FORMATS[dtype].precision >= 24:
            for target in paths:
                yield target, Rounding.kernel(dtype)
