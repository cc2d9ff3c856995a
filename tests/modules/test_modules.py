"""What a module registers, moves, calls and saves: the beliefs, on drawn trees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, holds, holds_with_care
from tests.claims.wide import fewer
from tests.modules.model import Node
from tests.modules.trees import as_leaf, assert_same, build, numbers, trees

small = st.lists(st.integers(-4, 4), min_size=3, max_size=3)


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
    claim.shows("of `self.weight = Parameter(x)` and `self.plain = x`, parameters() has 1")


@holds(
    "M2",
    "buffers are in state_dict unless persistent=False, move with the module, are not parameters",
    "and the optimizer, which was given parameters(), leaves them alone",
)
@fewer
@given(node=trees(), dtype=st.sampled_from(("float64", "bfloat16")))
def test_buffers_move_and_are_saved_but_not_trained(claim: Claim, node: Node, dtype: str) -> None:
    module = build(node)
    buffers = dict(module.named_buffers())
    assert [(name, as_leaf(x)) for name, x in buffers.items()] == node.named("buffers")
    assert not {id(p) for p in module.parameters()} & {id(b) for b in buffers.values()}
    parameters = list(module.parameters())
    for p in parameters:
        p.grad = torch.ones_like(p)
    if parameters:
        torch.optim.SGD(parameters, lr=0.5, foreach=False).step()
    assert [(name, as_leaf(x)) for name, x in module.named_buffers()] == node.named("buffers")
    assert [as_leaf(p)["numbers"] for p in parameters] == [
        [x - 0.5 for x in leaf["numbers"]] for _, leaf in node.named("parameters")
    ]
    saved = set(module.state_dict())
    for prefix, part in node.places():
        for name, leaf in part.buffers.items():
            key = f"{prefix}.{name}" if prefix else name
            assert (key in saved) == (leaf is not None and name not in part.not_persistent)
    module.to(getattr(torch, dtype))
    assert all(b.dtype == getattr(torch, dtype) for b in module.buffers())


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


class Doubling(nn.Module):
    """Says when it is called."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append("forward")
        return 2 * x


@holds("M4", "`model(x)` runs the hooks around forward(); `model.forward(x)` does not")
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
    module = Doubling(calls)

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
    x = torch.tensor(float(value))
    assert module(x).item() == 2 * (value + before) - after
    around = [f"before {i}" for i in range(before)], [f"after {i}" for i in range(after)]
    assert calls == [*around[0], "forward", *around[1]]
    calls.clear()
    if removed:
        for handle in handles:
            handle.remove()
        assert module(x).item() == 2 * value
    else:
        assert module.forward(x).item() == 2 * value
    assert calls == ["forward"]


@holds(
    "M5",
    "state_dict restores any tree; strict loading reports missing and unexpected keys",
    "only after it has loaded all that fits; and below a child that is None nothing is unexpected",
)
@fewer
@given(node=trees(), left_out=st.integers(0, 4))
def test_state_dict_restores_a_tree(claim: Claim, node: Node, left_out: int) -> None:
    module, other = build(node), build(node)
    saved = module.state_dict()
    with torch.no_grad():
        for x in other.state_dict().values():
            x.fill_(9)
    other.load_state_dict(saved)
    assert_same(other, node)

    key = list(saved)[left_out % len(saved)] if saved else None
    wrong = {k: v for k, v in saved.items() if k != key} | {"nobody": torch.zeros(1)}
    with torch.no_grad():
        for x in other.state_dict().values():
            x.fill_(9)
    with pytest.raises(RuntimeError, match=r'Unexpected key.*"nobody"') as raised:
        other.load_state_dict(wrong)
    assert (f'Missing key(s) in state_dict: "{key}"' in str(raised.value)) == bool(key)
    for k, x in other.state_dict().items():
        assert k == key or torch.equal(x, saved[k]), f"{k} was not loaded before the error"
    loaded = other.load_state_dict(wrong, strict=False)
    assert (loaded.missing_keys, loaded.unexpected_keys) == ([key] * bool(key), ["nobody"])
    below = nn.Module()
    below.register_module("child", None)
    below.load_state_dict({"child.weight": torch.zeros(1)})
    claim.shows("after the error, the keys that fit are loaded")


@holds(
    "M6",
    "Sequential composes; ModuleList and ModuleDict register their members, a list or dict not",
)
@fewer
@given(matrices=st.lists(st.tuples(small, small, small), min_size=1, max_size=3), row=small)
def test_containers_register_and_sequential_composes(
    claim: Claim, matrices: list[Any], row: list[int]
) -> None:
    layers = []
    for rows in matrices:
        layers.append(nn.Linear(3, 3, bias=False))
        with torch.no_grad():
            layers[-1].weight.copy_(torch.tensor(rows))
    x = torch.tensor(row, dtype=torch.float32)
    composed = x
    for layer in layers:
        composed = layer(composed)
    assert torch.equal(nn.Sequential(*layers)(x), composed)

    holder: Any = nn.Module()
    holder.plain = layers
    holder.by_name = {"first": layers[0]}
    assert list(holder.parameters()) == []
    holder.members = nn.ModuleList(layers[:1])
    for layer in layers[1:]:
        holder.members.append(layer)
    assert [id(p) for p in holder.parameters()] == [id(layer.weight) for layer in layers]
    holder.dictionary = nn.ModuleDict({"first": nn.Linear(3, 3, bias=False)})
    assert len(list(holder.parameters())) == len(layers) + 1
    two: Any = nn.Module()
    two.layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    unseen = len(list(two.parameters()))
    two.layers = nn.ModuleList(two.layers)
    seen = len(list(two.parameters()))
    claim.shows(f"two Linear layers in a list: {unseen} parameters; in a ModuleList: {seen}")


@holds("M7", "train() and eval() recurse; eval freezes dropout and the statistics of BatchNorm")
@fewer
@given(node=trees(), values=st.lists(small, min_size=2, max_size=4))
def test_modes_recurse_and_eval_freezes(claim: Claim, node: Node, values: Any) -> None:
    tree = build(node)
    tree.eval()
    assert not any(module.training for module in tree.modules())
    tree.train()
    assert all(module.training for module in tree.modules())

    norm, dropout = nn.BatchNorm1d(3), nn.Dropout(1.0)
    model = nn.Sequential(norm, dropout)
    x = torch.tensor(values, dtype=torch.float32)
    before = {name: b.clone() for name, b in norm.named_buffers()}
    model.eval()
    assert torch.equal(dropout(x), x)
    model(x)
    assert all(torch.equal(b, before[name]) for name, b in norm.named_buffers())
    model.train()
    assert not dropout(x).any()  # with p = 1 nothing is kept
    model(x)
    assert norm.num_batches_tracked == 1
    assert norm.running_mean is not None
    assert torch.equal(norm.running_mean != 0, x.sum(0) != 0)


@holds_with_care(
    "M8",
    "apply(fn) visits every submodule once; zero_grad() on the module clears all gradients",
    "children before their parents, and a module with two parents twice",
)
@fewer
@given(node=trees(), set_to_none=st.booleans())
def test_apply_visits_all_and_zero_grad_clears_all(
    claim: Claim, node: Node, set_to_none: bool
) -> None:
    module = build(node)
    nodes = dict(zip(map(id, module.modules()), (n for _, n in node.named_modules()), strict=True))
    visited: list[Node] = []
    module.apply(lambda m: visited.append(nodes[id(m)]))
    assert visited == list(node.applied())
    assert set(visited) == {n for _, n in node.named_modules()}
    for p in module.parameters():
        p.grad = torch.full_like(p, 3)
    module.zero_grad(set_to_none)
    for p in module.parameters():
        assert (p.grad is None) if set_to_none else torch.equal(p.grad, torch.zeros_like(p))

    shared = nn.ReLU()
    calls: list[nn.Module] = []
    two_parents = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared))
    two_parents.apply(calls.append)
    claim.shows(
        f"a ReLU in two Sequentials of one: {len(calls)} visits,"
        f" {len(list(two_parents.modules()))} modules"
    )
