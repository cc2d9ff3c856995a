"""A failed `assert` of a test becomes a script, where it asks something of torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.harness.reproducer.file import write
from tests.harness.reproducer.pause import literal
from tests.harness.reproducer.replay import script_of
from tests.harness.reproducer.script import Script
from tests.harness.switches import switched
from tests.meta.test_reproducers import status

expected = {"twice": 2.0}


def ones(*shape: int) -> torch.Tensor:
    return literal(torch.ones)(*shape)


def a_result() -> None:
    y = F.relu(ones(1))
    assert y.item() == expected["twice"] / 2


def a_name_in_a_list() -> None:
    results = [F.relu(ones(2))]
    assert all(x.sum() == 2 for x in results)


def a_name_in_a_dictionary() -> None:
    results, wanted = {"y": F.relu(ones(2))}, {"y": torch.ones_like(ones(2))}
    assert all(torch.equal(results[name], other) for name, other in wanted.items())


def a_member() -> None:
    module = nn.Sequential(nn.ReLU())
    y = module(ones(3))
    assert isinstance(module[0], nn.ReLU)
    assert isinstance(module, nn.Linear) or y.max() <= 1, f"{y}"


def a_lambda() -> None:
    y = F.relu(ones(1))
    assert list(map(lambda x: x == 1, y.tolist())) == [True]  # noqa: C417


@pytest.mark.parametrize(
    "test", [a_result, a_name_in_a_list, a_name_in_a_dictionary, a_member, a_lambda]
)
def test_what_is_asserted_of_torch_is_asked_by_a_script(
    test: Callable[[], None], tmp_path: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "relu", lambda x, inplace=False: 2 * torch.relu(x))
        script = script_of(test)
        assert isinstance(script, Script), script
        path = write(tmp_path, "an assertion", script)
        assert status(path) == 1, path.read_text()
    assert status(path) == 0, path.read_text()


def of_nothing() -> None:
    y = F.relu(ones(1)).item()
    assert y == 1  # a number, whose origin is not seen


def of_the_test() -> None:
    assert describes(F.relu(ones(1)))


def describes(y: torch.Tensor) -> bool:
    return y.item() == 1


def of_numbers() -> None:
    wanted = F.relu(ones(2)).tolist()
    assert F.relu(ones(2)).tolist() == [x / 2 for x in wanted]


def of_an_array() -> None:
    y = F.relu(ones(1)).numpy()
    assert torch.equal(torch.ones(1), torch.from_numpy(y))


def of_a_number() -> None:
    twice = F.relu(ones(1)).tolist()
    assert F.relu(ones(1)).tolist() != twice


def of_a_dtype() -> None:
    y = F.relu(ones(1))
    dtype = y.dtype
    assert (y.item(), dtype) == (1, torch.float32)


def of_what_is_not_there() -> None:
    y, numbers = F.relu(ones(1)), list[float]()
    assert y.item() == 1 and numbers[0] == 1  # noqa: PT018


def by_hand() -> None:
    if F.relu(ones(1)).item() != 1:
        raise AssertionError("in no assert statement")


@pytest.mark.parametrize(
    "test",
    [
        of_nothing,
        of_the_test,
        of_numbers,
        of_an_array,
        of_a_number,
        of_a_dtype,
        of_what_is_not_there,
        by_hand,
    ],
)
def test_what_a_test_made_of_it_is_not_asked(test: Callable[[], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "relu", lambda x: 2 * torch.relu(x))
        assert isinstance(script_of(test), str)


def test_a_script_sets_the_switches_that_were_set(tmp_path: Any) -> None:
    def test() -> None:
        y = F.relu(ones(1))
        assert y.item() == 2

    with switched({"mkldnn": False}):
        script = script_of(test)
    assert isinstance(script, Script)
    text = write(tmp_path, "an assertion", script).read_text()
    assert "\ntorch.backends.mkldnn.enabled = False\n" in text
