"""What a module registers, and what its trees enumerate."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer
from tests.modules.model import Node
from tests.modules.trees import assert_same, build, numbers, trees


@holds(
    "M1",
    "a Parameter is a Tensor, requires grad and is registered when assigned; a plain tensor not",
)
@fewer
@given(values=numbers)
def test_only_parameters_register_themselves(claim: Claim, values: list[int]) -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor(values, dtype=torch.float32))
    module.plain = torch.tensor(values, dtype=torch.float32).requires_grad_()
    assert isinstance(module.weight, torch.Tensor)
    assert module.weight.requires_grad
    assert [(n, p is module.weight) for n, p in module.named_parameters()] == [("weight", True)]
    assert list(module.state_dict()) == ["weight"]
    found = [name for name, _ in module.named_parameters()]
    claim.shows(f"after `self.weight = Parameter(x)` and `self.plain = x`: parameters {found}")


@holds("M3", "parameters() is a recursive generator; children(), modules() and named_... likewise")
@fewer
@given(node=trees())
def test_a_tree_is_enumerated_exactly(claim: Claim, node: Node) -> None:
    """By name and in order, and what is shared once; see `tests/modules/model.py`."""
    module = build(node)
    assert_same(module, node)
    for unnamed, named in (
        (module.children(), module.named_children()),
        (module.modules(), module.named_modules()),
        (module.parameters(), module.named_parameters()),
        (module.buffers(), module.named_buffers()),
    ):
        assert iter(unnamed) is unnamed
        assert [id(x) for x in unnamed] == [id(x) for _, x in named]
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Linear(1, 1)))
    counts = [len(list(x)) for x in (model.children(), model.modules(), model.parameters())]
    claim.shows(
        "Sequential(Linear, Sequential(Linear)): {} children, {} modules, {} parameters".format(
            *counts
        )
    )


def fill(members: nn.ModuleList, modules: list[nn.Module], way: str) -> None:
    """Put some modules into a list, in their order."""
    if way == "extend":
        members.extend(modules)
        return
    for place, module in enumerate(modules):
        if way == "append":
            members.append(module)
        else:
            members.insert(place, module)


registering = holds(
    "M6",
    "Sequential composes; ModuleList and ModuleDict register their members, a list or dict not",
)


@registering
@fewer
@given(
    sizes=st.lists(st.integers(1, 3), max_size=4),
    way=st.sampled_from(("append", "extend", "insert")),
)
def test_members_are_registered_whichever_way_they_come(
    claim: Claim, sizes: list[int], way: str
) -> None:
    holder: Any = nn.Module()
    layers: list[nn.Module] = [nn.Linear(1, size) for size in sizes]
    weights = [layer.weight for layer in layers]

    def registered() -> list[Any]:
        return [p for name, p in holder.named_parameters() if name.endswith("weight")]

    holder.members, holder.by_name = layers, dict(zip("abcd", layers, strict=False))
    assert registered() == []

    holder.members = nn.ModuleList()
    fill(holder.members, layers, way)
    assert same(holder.members, layers)
    assert same(registered(), weights)
    if layers:
        assert holder.members.pop(0) is layers[0]
        assert same(registered(), weights[1:])

    del holder.members  # else the second place of the same modules would not count
    names = list("abcd"[: len(layers)])
    holder.by_name = nn.ModuleDict()
    holder.by_name.update(dict(zip(names, layers, strict=True)))
    assert list(holder.by_name.keys()) == names
    assert same(holder.by_name.values(), layers)
    assert list(holder.by_name.items()) == list(zip(names, layers, strict=True))
    assert same(registered(), weights)
    if layers:
        assert holder.by_name.pop("a") is layers[0]
        assert same(registered(), weights[1:])
    holder.by_name.clear()
    assert registered() == []


def same(some: Any, others: Any) -> bool:
    """The same objects, in the same order."""
    return [id(x) for x in some] == [id(x) for x in others]


small = st.lists(st.integers(-4, 4), min_size=3, max_size=3)


@registering
@fewer
@given(matrices=st.lists(st.tuples(small, small, small), max_size=3), row=small)
def test_sequential_composes(claim: Claim, matrices: list[Any], row: list[int]) -> None:
    layers = []
    for rows in matrices:
        layers.append(nn.Linear(3, 3, bias=False))
        layers[-1].weight = nn.Parameter(torch.tensor(rows, dtype=torch.float32))
    x = torch.tensor(row, dtype=torch.float32)
    composed = x
    for layer in layers:
        composed = layer(composed)
    assert torch.equal(nn.Sequential(*layers)(x), composed)
    two: Any = nn.Module()
    two.layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    unseen = len(list(two.parameters()))
    two.layers = nn.ModuleList(two.layers)
    seen = len(list(two.parameters()))
    claim.shows(f"two Linear layers in a list: {unseen} parameters; in a ModuleList: {seen}")
