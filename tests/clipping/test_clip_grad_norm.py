"""clip_grad_norm_, and the two steps it is made of: the norm, and gradients scaled by it."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm

from reference.clipping import clip_grads_with_norm
from reference.clipping import get_total_norm as total_norm_of
from tests.clipping.gradients import FOREACH, Gradients, Untouched, gradients
from tests.harness.formats import FORMATS
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates

INF = float("inf")
families = st.sampled_from(
    ("integers", "dyadic", "uniform", "offset", "integers", "uniform", "wide", "extreme")
)
norm_types = st.sampled_from((2.0, INF, 1.0, 3.5, 0.0, -INF, INF, -1.0, -2.5, 2.0, INF, 2.0))
max_norms = st.sampled_from((1.0, 0.125, 3.0, 100.0, 1e-3, 0.0, INF, -1.0)) | st.floats(1e-3, 1e3)


@dataclass(frozen=True)
class ClipCase:
    """Gradients, and how they are to be clipped."""

    gradients: Gradients
    max_norm: float
    norm_type: float
    in_two_steps: bool
    error_if_nonfinite: bool


@st.composite
def clip_cases(draw: st.DrawFn) -> ClipCase:
    error_if_nonfinite = draw(st.sampled_from((False, False, True)))
    return ClipCase(
        gradients=draw(gradients(families, special=1 if error_if_nonfinite else 1 / 8)),
        max_norm=draw(max_norms),
        norm_type=draw(norm_types),
        in_two_steps=draw(st.sampled_from((False, True, True))),
        error_if_nonfinite=error_if_nonfinite,
    )


@settings(max_examples=2 * settings().max_examples)  # options, dtypes and containers meet
@given(case=clip_cases())
def test_gradients_are_scaled_by_max_norm_over_their_norm(targets: Targets, case: ClipCase) -> None:
    for dtype, paths in targets.by_dtype(*FOREACH):
        grads = case.gradients.rounded(dtype)
        try:
            norm = stored(total_norm_of(grads, case.norm_type))
        except ValueError:
            for target in paths:
                refused(target, case, "cannot compute the")
            continue
        clipped = expected(case, norm, grads, dtype)
        settled = np.isfinite(norm.bound)  # else a sum may overflow, or may not
        for target in paths:
            if not case.error_if_nonfinite or (settled and np.isfinite(norm.value)):
                compare(target, case, norm, clipped)
            elif settled:
                refused(target, case, "is non-finite")


def stored(norm: Any) -> Rounded:
    """What torch returns: the norm in its dtype; of no gradients a zero of the default dtype."""
    default = Rounding.kernel("float32")
    return norm.rounding.stored(norm) if isinstance(norm, Rounded) else default.array(norm)


def expected(case: ClipCase, norm: Rounded, grads: list[Any], dtype: str) -> dict[int, Rounded]:
    """The clipped gradients by their places, without those of which torch is known to be wrong."""
    if wrongly_left_alone(norm, case.max_norm):
        return {}
    found: dict[int, Rounded] = {}
    of_dtype: dict[str, dict[int, Any]] = {}
    for i, grad in zip(case.gradients.present, grads, strict=True):
        of_dtype.setdefault(case.gradients.dtype(i, dtype), {})[i] = grad
    for own, alike in of_dtype.items():  # which have a factor in common
        exact = factor_rounding(norm, own).array(norm)
        clipped = clip_grads_with_norm(list(alike.values()), case.max_norm, exact)
        found |= dict(zip(alike, map(Rounding.kernel(own).stored, clipped), strict=True))
    return found


def reciprocal_overflows(norm: Rounded) -> bool:
    """torch rounds 1 / (norm + 1e-6) to float16, whose largest number is just below 2^16."""
    return norm.rounding.storage.name == "float16" and norm.value - norm.bound < 2.0**-16


def wrongly_left_alone(norm: Rounded, max_norm: float) -> bool:
    """Such tiny gradients are not clipped at all, or made NaN (see `test_known_faults`)."""
    return reciprocal_overflows(norm) and max_norm < norm.value + norm.bound + 2e-6


def factor_rounding(norm: Rounded, dtype: str) -> Rounding:
    """Each step towards the factor is rounded as the norm is; the factor, to the gradient's dtype.

    Where torch's reciprocal overflows and the factor is 1, infinity is as good as any larger
    number: nothing is rounded on the way.
    """
    storage = norm.rounding.storage.name
    if reciprocal_overflows(norm):
        return Rounding.kernel(storage)
    return Rounding.op_by_op(storage) if storage == dtype else narrowing(storage, dtype)


@cache
def narrowing(storage: str, dtype: str) -> Rounding:
    return replace(Rounding.kernel(storage), storage=FORMATS[dtype], stores=(np.minimum,))


def clip(target: Target, case: ClipCase, parameters: list[torch.Tensor]) -> torch.Tensor:
    foreach, given = FOREACH[target.path], case.gradients.given(parameters)
    if not case.in_two_steps:
        return clip_grad_norm_(
            given, case.max_norm, case.norm_type, case.error_if_nonfinite, foreach
        )
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = get_total_norm(grads, case.norm_type, case.error_if_nonfinite, foreach)
    clip_grads_with_norm_(given, case.max_norm, norm, foreach)
    return norm


def compare(target: Target, case: ClipCase, norm: Rounded, clipped: dict[int, Rounded]) -> None:
    parameters = case.gradients.parameters(target)
    untouched = Untouched(parameters)
    total_norm = clip(target, case, parameters)
    if not case.gradients.present:  # the norm of nothing is a zero on the CPU
        total_norm = total_norm.to(target.device)
    of_norm = replace(target, dtype=norm.rounding.storage.name)
    check("clip_grad_norm", "total_norm", of_norm, total_norm, norm)
    for i, grad in clipped.items():
        own = replace(target, dtype=case.gradients.dtype(i, target.dtype))
        check("clip_grad_norm", "grad", own, parameters[i].grad, grad)
    untouched.check("clip_grad_norm", target)


def refused(target: Target, case: ClipCase, message: str) -> None:
    parameters = case.gradients.parameters(target)
    untouched = Untouched(parameters)
    with pytest.raises(RuntimeError, match=message):
        clip(target, case, parameters)
    if not untouched.as_before():
        same = "all(map(torch.equal, *got))"
        both = tuple(untouched.now), tuple(untouched.before)
        what = "was changed, though the call was refused"
        deviates("clip_grad_norm", "grad", target, what, both, same)


@pytest.mark.parametrize("foreach", FOREACH.values())
@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grads_with_norm_])
def test_a_gradient_whose_elements_share_memory_is_refused(clip: Any, foreach: Any) -> None:
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(1).expand(3)
    by = 1.0 if clip is clip_grad_norm_ else torch.tensor(2.0)
    with pytest.raises(RuntimeError, match="single memory location"):
        clip([p], 0.5, by, foreach=foreach)


def test_an_empty_generator_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="empty generator"):
        assert clip_grad_norm_((p for p in list[torch.Tensor]()), 1.0) == 0


def test_infinity_may_be_a_word() -> None:
    p = torch.ones(2, requires_grad=True)
    p.grad = torch.tensor([3.0, -4.0])
    assert clip_grad_norm_(p, 100.0, norm_type="inf") == 4  # type: ignore[arg-type]
