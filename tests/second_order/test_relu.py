"""ReLU: what moves it, and what moves its gradient. At 0, too, where torch takes 0 on each way."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from reference.relu import relu_backward
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import shapes
from tests.harness.targets import Targets
from tests.layers.test_relu import FORMS, IN_PLACE
from tests.second_order.moving import Moving, moving, verify


@given(
    case=shapes(max_elements=1025).flatmap(lambda shape: moving({"input": shape}, shape)),
    form=st.sampled_from(tuple(FORMS)),
)
def test_relu_and_its_gradient_move_where_the_input_is_positive(
    targets: Targets, case: Moving, form: str
) -> None:
    function, _ = FORMS[form]
    component, bend = ("threshold", (0.0, 0.0)) if "threshold" in form else ("relu", ())

    def rectified(input: torch.Tensor) -> torch.Tensor:
        return function(input.clone() if form in IN_PLACE else input, *bend)

    def moved(dtype: str) -> dict[str, Any]:
        """Each output depends on its own input alone, so moving it is what `backward` does.

        The gradient moves with `grad_output` likewise, and with the input not at all.
        """
        kernel = Rounding.kernel(dtype)
        input, direction = (
            kernel.array(x["input"].numbers(dtype)) for x in (case.inputs, case.directions)
        )
        passed = relu_backward(direction, input)
        return {"tangent": passed, "second grad_output": passed}

    verify(component, targets, case, rectified, moved)
