"""What calling a module runs: hooks, each once, from the outside in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer

hooks = holds(
    "M4",
    "`model(x)` runs the hooks around forward(); `model.forward(x)` does not",
    "forward() skips the model's own hooks; those of the modules that it calls run as ever",
)


@hooks
@fewer
@given(
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    removed=st.booleans(),
    value=st.integers(-4, 4),
)
def test_hooks_run_once_each_around_forward(
    claim: Claim, before: int, after: int, removed: bool, value: int
) -> None:
    """In the order of their registration. What they return takes the place of what they got."""
    calls: list[str] = []
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2)

    def before_hook(number: int) -> Any:
        def hook(module: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            calls.append(f"before {number}")
            return (args[0] + 1,)

        return module.register_forward_pre_hook(hook)

    def after_hook(number: int) -> Any:
        def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
            calls.append(f"after {number}")
            return output - 1

        return module.register_forward_hook(hook)

    handles = [before_hook(i) for i in range(before)] + [after_hook(i) for i in range(after)]
    x = torch.tensor([float(value)])
    assert module(x).item() == 2 * (value + before) - after
    assert calls == [f"before {i}" for i in range(before)] + [f"after {i}" for i in range(after)]
    calls.clear()
    if removed:
        for handle in handles:
            handle.remove()
        assert module(x).item() == 2 * value
    else:
        assert module.forward(x).item() == 2 * value
    assert not calls


Nest = list[Any]  # of such lists
nests: st.SearchStrategy[Nest] = st.recursive(
    st.just([]), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=4
)


def hooked(nest: Nest, calls: list[str], name: str = "model") -> nn.Sequential:
    """Sequentials in Sequentials, each of which says when its hooks are run."""
    module = nn.Sequential(*(hooked(n, calls, f"{name}.{i}") for i, n in enumerate(nest)))
    module.register_forward_pre_hook(lambda *_: calls.append(f"into {name}"))
    module.register_forward_hook(lambda *_: calls.append(f"out of {name}"))
    module.register_full_backward_pre_hook(lambda *_: calls.append(f"back into {name}"))
    module.register_full_backward_hook(lambda *_: calls.append(f"back out of {name}"))
    return module


def around(nest: Nest, name: str = "model") -> Iterator[str]:
    yield f"into {name}"
    for i, inner in enumerate(nest):
        yield from around(inner, f"{name}.{i}")
    yield f"out of {name}"


def back(call: str) -> str:
    """Out of what was gone into, and into what was come out of."""
    into, name = call.startswith("into"), call.rpartition(" ")[2]
    return f"back {'out of' if into else 'into'} {name}"


@hooks
@fewer
@given(nest=nests)
def test_hooks_of_a_tree_run_from_the_outside_in_and_backward_in_reverse(
    claim: Claim, nest: Nest
) -> None:
    calls: list[str] = []
    module, x = hooked(nest, calls), torch.tensor(1.0, requires_grad=True)
    there = list(around(nest))
    module(x).backward()
    assert calls == there + [back(call) for call in reversed(there)]
    calls.clear()
    module.forward(x).backward()
    inside = there[1:-1]
    assert calls == inside + [back(call) for call in reversed(inside)]

    seen = []
    model = hooked([[]], calls)
    for run in (model, model.forward):
        calls.clear()
        run(torch.tensor(1.0))
        seen.append(", ".join(calls))
    claim.shows(f"Sequential of one: {seen[0]}; by forward(): {seen[1]}")
