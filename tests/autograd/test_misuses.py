"""Each misuse is refused, with the same error in torch and in the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reference.graph import Tensor
from tests.autograd.libraries import REFERENCE, TORCH, Library
from tests.autograd.misuses import MISUSES, misuse
from tests.harness.targets import Targets


def change_a_leaf(library: Library, x: Any, seed: Any) -> None:
    library.apply("multiply_", x, x)


def walk_twice(library: Library, x: Any, seed: Any) -> None:
    y = library.apply("multiply", x, x)
    for _ in range(2):
        library.backward([y], [seed], retain_graph=False)


def change_a_saved_value(library: Library, x: Any, seed: Any) -> None:
    y = library.apply("multiply", x, x)
    z = library.apply("multiply", y, y)
    library.apply("add_", y, x)
    library.backward([z], [seed], retain_graph=False)


def give_no_gradient(library: Library, x: Any, seed: Any) -> None:
    library.backward([x], [None], retain_graph=False)


def retain_a_constants_gradient(library: Library, x: Any, seed: Any) -> None:
    library.apply("retain_grad", library.apply("detach", x))


def walk_from_a_constant(library: Library, x: Any, seed: Any) -> None:
    library.backward([library.apply("detach", x)], [seed], retain_graph=False)


ATTEMPTS: dict[str, Callable[[Library, Any, Any], None]] = {
    "a leaf changed in place": change_a_leaf,
    "a saved value freed": walk_twice,
    "a saved value changed": change_a_saved_value,
    "no gradient given": give_no_gradient,
    "no gradient to retain": retain_a_constants_gradient,
    "no graph": walk_from_a_constant,
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_refused(targets: Targets, name: str) -> None:
    numbers = np.array([3.0, 4.0])
    with misuse() as found:
        ATTEMPTS[name](REFERENCE, Tensor(numbers, requires_grad=True), numbers)
    assert found == [name]
    for device in targets.devices:
        seed = torch.from_numpy(numbers).to(device)
        with misuse() as found:
            ATTEMPTS[name](TORCH, seed.clone().requires_grad_(), seed)
        assert found == [name]
