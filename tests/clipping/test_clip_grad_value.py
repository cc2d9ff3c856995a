"""clip_grad_value_: each element of each gradient, cut off."""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn.utils import clip_grad_value_

from reference.clipping import clip_grad_value
from tests.clipping.gradients import FOREACH, Gradients, Untouched, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check

INF = float("inf")
clip_values = st.sampled_from((1.0, 0.125, 3.0, 0.1, 0.0, INF, -1.0)) | st.floats(1e-3, 1e3)


@dataclass(frozen=True)
class ValueCase:
    """Gradients, and where their elements are to be cut off."""

    gradients: Gradients
    clip_value: float


@st.composite
def value_cases(draw: st.DrawFn) -> ValueCase:
    return ValueCase(draw(gradients(families, special=1 / 2)), draw(clip_values))


@given(case=value_cases())
def test_each_element_is_cut_off(targets: Targets, case: ValueCase) -> None:
    assume(case.gradients.present)  # else torch raises (see `test_known_faults`)
    for dtype, paths in targets.by_dtype(*FOREACH):
        clipped = {}
        for i in case.gradients.present:
            # The limit is rounded to the dtype of the gradients.
            rounding = Rounding.native(case.gradients.dtype(i, dtype))
            array = case.gradients.arrays[i]
            assert array is not None
            grad = rounding.array(array.numbers(rounding.storage.name))
            clipped[i] = rounding.stored(clip_grad_value([grad], case.clip_value)[0])
        for target in paths:
            parameters = case.gradients.parameters(target)
            untouched = Untouched(parameters)
            given = case.gradients.given(parameters)
            assert clip_grad_value_(given, case.clip_value, FOREACH[target.path]) is None
            for i, grad in clipped.items():
                own = replace(target, dtype=case.gradients.dtype(i, dtype))
                check("clip_grad_value", "grad", own, parameters[i].grad, grad)
            untouched.check("clip_grad_value", target)


@pytest.mark.parametrize("foreach", FOREACH.values())
def test_a_gradient_whose_elements_share_memory_is_refused(foreach: bool | None) -> None:
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(1).expand(3)
    with pytest.raises(RuntimeError, match="single memory location"):
        clip_grad_value_([p], 0.5, foreach)


@pytest.mark.parametrize("foreach", FOREACH.values())
def test_complex_gradients_have_no_order(foreach: bool | None) -> None:
    p = torch.ones(3, dtype=torch.complex64, requires_grad=True)
    p.grad = torch.ones(3, dtype=torch.complex64)
    with pytest.raises(NotImplementedError, match="not supported for complex"):
        clip_grad_value_([p], 0.5, foreach)
