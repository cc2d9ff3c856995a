"""xavier_* and kaiming_*: number for number what uniform_ and normal_ draw with their parameter.

So their parameter is verified to the last digits, on a few numbers; the distribution of those that
uniform_ and normal_ draw is the matter of `test_distributions`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import init

from reference.initialization import GAINS, calculate_gain, fans, kaiming_std, xavier_std
from tests.harness.border import to_numpy
from tests.harness.strategies.hyperparameters import floats
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.initialization.draws import Empty, drawn_with, empties

NONLINEARITIES = (*GAINS, "leaky_relu")
few = settings(max_examples=max(10, settings().max_examples // 2))
slopes = st.sampled_from((0.0, 0.01, 1.0, math.sqrt(5), -0.5)) | floats(0, 4)


@dataclass(frozen=True)
class WeightCase:
    """A weight, and all the options that these functions have among them."""

    empty: Empty
    gain: float
    a: float
    mode: Any
    nonlinearity: Any


@st.composite
def weight_cases(draw: st.DrawFn) -> WeightCase:
    return WeightCase(
        empty=draw(empties(min_dims=2).filter(lambda empty: 0 not in empty.shape)),
        gain=draw(st.sampled_from((1.0, math.sqrt(2), 0.5, 0.0)) | st.floats(0.01, 10)),
        a=draw(slopes),
        mode=draw(st.sampled_from(("fan_in", "fan_out"))),
        nonlinearity=draw(st.just("leaky_relu") | st.sampled_from(NONLINEARITIES)),
    )


DRAWS: dict[str, Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]] = {
    "uniform": lambda t, std, g: init.uniform_(t, -math.sqrt(3) * std, math.sqrt(3) * std, g),
    "normal": lambda t, std, g: init.normal_(t, 0.0, std, g),
}


@pytest.mark.parametrize(
    "name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]
)
@few
@given(case=weight_cases())
def test_weights_are_drawn_with_the_parameter(
    targets: Targets, name: str, case: WeightCase
) -> None:
    shape = case.empty.shape
    if name.startswith("xavier"):
        options: dict[str, Any] = {"gain": case.gain}
        std = xavier_std(shape, **options)
    else:
        options = {"a": case.a, "mode": case.mode, "nonlinearity": case.nonlinearity}
        std = kaiming_std(shape, **options)
    function, draw = getattr(init, f"{name}_"), DRAWS[name.partition("_")[2]]
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            got = case.empty.filled(name, target, lambda t, g: function(t, generator=g, **options))

            def drawn(std: float, target: Target = target) -> np.ndarray:
                return to_numpy(case.empty.filled(name, target, lambda t, g: draw(t, std, g)))

            check(name, "numbers", target, got, drawn_with(std, drawn, target))


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("param", [None, 0, 1, 0.2, -0.5, math.sqrt(5)])
def test_gains_are_those_of_the_reference(nonlinearity: Any, param: float | None) -> None:
    """A square, a sum, a quotient and a root in float64, each rounded."""
    gain, expected = init.calculate_gain(nonlinearity, param), calculate_gain(nonlinearity, param)
    assert abs(gain - expected) <= 4 * 2.0**-53 * expected


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 3, 0), (0, 0)])
@pytest.mark.parametrize("function", [init.kaiming_uniform_, init.kaiming_normal_])
def test_kaiming_of_an_empty_weight_is_warned_of(function: Any, shape: tuple[int, ...]) -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        assert function(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 5, 2)])
@pytest.mark.parametrize("function", [init.xavier_uniform_, init.xavier_normal_])
def test_xavier_leaves_an_empty_weight_empty(function: Any, shape: tuple[int, ...]) -> None:
    assert function(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize(
    "name", ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]
)
def test_what_has_no_fans_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        getattr(init, name)(torch.zeros(shape))
    with pytest.raises(ValueError, match="needs two dimensions"):
        fans(shape)


@pytest.mark.parametrize("function", [init.kaiming_uniform_, init.kaiming_normal_])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fan_both"}, "fan_both"),
        ({"nonlinearity": "gelu"}, "gelu"),
    ],
)
def test_unknown_modes_and_nonlinearities_are_refused(
    function: Any, options: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        function(torch.zeros(2, 2), **options)
    with pytest.raises(ValueError, match=message):
        kaiming_std((2, 2), **options)


@pytest.mark.parametrize("slope", ["0.1", True])
def test_a_slope_must_be_a_number(slope: Any) -> None:
    with pytest.raises(ValueError, match="not a valid number"):
        init.calculate_gain("leaky_relu", slope)
