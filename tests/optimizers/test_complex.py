"""Complex parameters are stepped as pairs of real numbers, which no option and no path forgets."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.targets import Targets
from tests.harness.verdict import deviates
from tests.optimizers.paths import PATHS
from tests.optimizers.strategies import half_as_many
from tests.optimizers.test_adam import options_of_adamw

COMPLEX = {"float32": torch.complex64, "float64": torch.complex128}
pairs = arrays((3, 2), "uniform", "contiguous", special=False)
sizes = st.sampled_from((1.0, 0.0, 0.125))  # the averages of the squares are to fall, too


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@half_as_many
@given(
    start=pairs,
    options=options_of_adamw,
    grads=st.lists(st.tuples(pairs, sizes), min_size=1, max_size=3),
)
def test_complex_parameters_are_pairs(
    targets: Targets,
    optimizer: Any,
    start: DrawnArray,
    options: dict[str, Any],
    grads: list[tuple[DrawnArray, float]],
) -> None:
    if optimizer is torch.optim.Adam:  # whose decay is a product of complex numbers
        options = options | {"weight_decay": 0.0}
    for dtype, paths in targets.by_dtype("for-loop", "foreach"):
        for target in paths if dtype in COMPLEX else ():
            real = start.tensor(target).requires_grad_()
            complex_ = torch.view_as_complex(start.tensor(target)).requires_grad_()
            flags = PATHS[target.path].flags
            optimizers = [optimizer([param], **options, **flags) for param in (real, complex_)]
            for grad, size in grads:
                real.grad = size * grad.tensor(target)
                complex_.grad = torch.view_as_complex(real.grad.clone())
                for each in optimizers:
                    each.step()
            expected, found = (
                each.state[p] for each, p in zip(optimizers, (real, complex_), strict=True)
            )
            for name, pair in {"param": real.detach(), **expected}.items():
                got = complex_.detach() if name == "param" else found[name]
                got = torch.view_as_real(got) if got.is_complex() else got
                if not torch.equal(finite(got), finite(pair)):
                    component = optimizer.__name__.lower()
                    what, both = f"is {got}, of pairs {pair}", (finite(got), finite(pair))
                    deviates(component, f"complex {name}", target, what, both, "torch.equal(*got)")


def finite(pairs: torch.Tensor) -> torch.Tensor:
    """With a number in place of what is not finite in either part.

    AdamW's decay multiplies by 1 - lr weight_decay + 0i, and 0 times infinity is NaN.
    """
    return torch.where(pairs.isfinite().all(-1, keepdim=True), pairs, 7.0)
