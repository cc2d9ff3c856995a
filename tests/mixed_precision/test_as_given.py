"""Layers of no list: autocast leaves them in the dtype that they are given.

BatchNorm's input comes from a product in the lower precision, and its parameters are float32: the
case that is `mixed`.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.doors import AUTOCAST
from tests.harness.targets import Targets
from tests.layers import test_batch_norm, test_dropout
from tests.layers.batch_norm_cases import BatchNormCase, batch_norm_cases
from tests.layers.dropout_cases import DropoutCase, dropout_cases
from tests.mixed_precision.lists import with_lists

regions = st.sampled_from(tuple(AUTOCAST))


@settings(max_examples=settings().max_examples // 5)
@given(case=batch_norm_cases(), region=regions)
def test_batch_norm_equals_the_reference(
    targets: Targets, case: BatchNormCase, region: str
) -> None:
    for dtype, paths in with_lists(targets).by_dtype(region):
        test_batch_norm.verify(case, dtype, paths)


@settings(max_examples=settings().max_examples // 2)
@given(case=dropout_cases(), region=regions)
def test_dropout_equals_the_reference_given_the_mask(
    targets: Targets, case: DropoutCase, region: str
) -> None:
    for dtype, paths in with_lists(targets).by_dtype(region):
        test_dropout.verify(case, dtype, paths)
