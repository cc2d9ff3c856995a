"""How claims about formulas are tried: in two dtypes, on fewer examples.

The properties of the components look closer; what is believed of them shows at once.
"""

from collections.abc import Iterator

from hypothesis import settings

from tests.harness.formats import FORMATS
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets

fewer = settings(max_examples=settings().max_examples // 3)


def wide(targets: Targets, path: str = "functional") -> Iterator[tuple[Target, Rounding]]:
    """float64 and float32, in which whole formulas and single operations round alike."""
    for dtype, paths in targets.by_dtype(path):
        if FORMATS[dtype].precision >= 24:
            for target in paths:
                yield target, Rounding.kernel(dtype).on(target.device)
