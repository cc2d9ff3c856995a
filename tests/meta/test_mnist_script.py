"""A step of the MNIST epoch that deviates has a script of a few numbers, wherever it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.harness.reproducer.file import write
from tests.harness.reproducer.replay import script_of
from tests.harness.reproducer.script import Script
from tests.harness.targets import Target
from tests.meta.test_reproducers import status
from tests.training.mnist import Mnist
from tests.training.test_mnist import verify_epoch


def images(count: int) -> Mnist:
    random = np.random.default_rng(1)
    pixels = random.random((count, 784), np.float32)
    labels = random.integers(0, 10, count)
    return Mnist(pixels, labels, pixels, labels, "noise")


def half_a_bias(sound: Any) -> Any:
    return lambda x, weight, bias: sound(x, weight, bias) - bias / 2


def a_later_step_forgotten(sound: Any) -> Any:
    def step(self: torch.optim.Optimizer) -> None:
        (p, *_) = self.param_groups[0]["params"]
        if "exp_avg" not in self.state[p]:
            return sound(self)
        for group in self.param_groups:
            group["lr"] /= 2
        return sound(self)

    return step


@pytest.mark.parametrize(
    ("name", "owner", "function", "wrong", "output"),
    [
        ("sgd", F, "linear", half_a_bias, "hidden_input"),
        ("adam", torch.optim.Adam, "step", a_later_step_forgotten, "param"),
    ],
)
def test_a_step_that_deviates_has_a_short_script(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    name: str,
    owner: Any,
    function: str,
    wrong: Any,
    output: str,
) -> None:
    target = Target("cpu", "float32", "mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, wrong(getattr(owner, function)))
        script = script_of(lambda: verify_epoch(target, images(300), name, request.config))
        assert isinstance(script, Script), script
        path = write(tmp_path, f"mnist {name}: {output}", script)
        assert status(path) == 1
    assert status(path) == 0, path.read_text()
    assert len(path.read_text()) < 4000
