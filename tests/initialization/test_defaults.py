"""What layers start from: Linear's weight and bias, BatchNorm's parameters and statistics."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reference.initialization import kaiming_std
from tests.harness.border import to_numpy
from tests.harness.rounding import Rounding
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates
from tests.initialization.draws import drawn_with, seeds

few = settings(max_examples=max(10, settings().max_examples // 2))


@pytest.fixture(autouse=True)
def generators_restored() -> Any:
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


def begin(seed: int, target: Target) -> None:
    if target.device == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def linear(
    target: Target, in_features: int, out_features: int, bias: bool, again: bool, seed: int
) -> nn.Linear:
    """A layer as it starts, or as it starts again."""
    begin(seed, target)
    place = {"device": target.device, "dtype": target.torch_dtype}
    layer = nn.Linear(in_features, out_features, bias, **place)
    if again:
        begin(seed, target)
        layer.reset_parameters()
    return layer


@few
@given(
    in_features=sides(257, 1),
    out_features=sides(257, 1),
    bias=st.booleans(),
    again=st.booleans(),
    seed=seeds,
)
def test_linear_starts_with_uniform_numbers_up_to_its_limit(
    targets: Targets, in_features: int, out_features: int, bias: bool, again: bool, seed: int
) -> None:
    """The weight's limit is kaiming_uniform's of slope sqrt(5), 1 / sqrt(in); so is the bias's."""
    shapes = {"weight": (out_features, in_features), "bias": (out_features,)}
    limit = math.sqrt(3) * kaiming_std(shapes["weight"], a=math.sqrt(5))
    sizes = [math.prod(shape) for shape in shapes.values()]
    for _, paths in targets.by_dtype("module"):
        for target in paths:
            layer = linear(target, in_features, out_features, bias, again, seed)
            if (layer.bias is not None) != bias:
                deviates("Linear defaults", "bias", target, "is not as it was asked for")

            def drawn(limit: float, target: Target = target) -> np.ndarray:
                """One after the other, first the weight."""
                generator = torch.Generator(target.device).manual_seed(seed)
                numbers = torch.zeros(sum(sizes), dtype=target.torch_dtype, device=target.device)
                for part in numbers.split(sizes):
                    part.uniform_(-limit, limit, generator=generator)
                return to_numpy(numbers)

            numbers = drawn_with(limit, drawn, target)
            expected = {"weight": numbers[: sizes[0]], "bias": numbers[sizes[0] :]}
            for name, parameter in layer.named_parameters():
                wanted = expected[name].reshape(*shapes[name])
                check("Linear defaults", name, target, parameter, wanted)


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@few
@given(
    layer=st.sampled_from(BATCH_NORMS),
    features=sides(65, 0),
    affine=st.booleans(),
    tracks=st.booleans(),
    again=st.booleans(),
)
def test_batch_norm_starts_as_the_identity_that_has_seen_nothing(
    targets: Targets, layer: Any, features: int, affine: bool, tracks: bool, again: bool
) -> None:
    expected = {"weight": 1.0, "bias": 0.0} if affine else {}
    expected |= {"running_mean": 0.0, "running_var": 1.0} if tracks else {}
    for dtype, paths in targets.by_dtype("module"):
        for target in paths:
            place = {"device": target.device, "dtype": target.torch_dtype}
            module = layer(features, affine=affine, track_running_stats=tracks, **place)
            state = dict(module.named_parameters()) | dict(module.named_buffers())
            if again:
                with torch.no_grad():
                    for tensor in state.values():
                        tensor.fill_(7)
                module.reset_parameters()
            counted = state.pop("num_batches_tracked", None)
            assert state.keys() == expected.keys()
            assert (counted is None) != tracks
            if tracks and counted != 0:
                what, right = f"is {counted}, not 0", "got.num_batches_tracked == 0"
                deviates("BatchNorm defaults", "num_batches_tracked", target, what, module, right)
            for name, number in expected.items():
                numbers = Rounding.kernel(dtype).array(np.full(features, number))
                check("BatchNorm defaults", name, target, state[name], numbers)


@pytest.mark.parametrize(("in_features", "out_features"), [(0, 3), (3, 0), (0, 0)])
def test_linear_without_features_is_warned_of_and_its_bias_is_0(
    in_features: int, out_features: int
) -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        layer = nn.Linear(in_features, out_features)
    assert layer.weight.shape == (out_features, in_features)
    if in_features == 0:  # else the limit would be 1 / sqrt(0)
        assert layer.bias.tolist() == [0] * out_features
