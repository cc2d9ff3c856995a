"""What a module keeps, moves, saves and loads."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, holds
from tests.claims.wide import fewer
from tests.modules.model import Node, joined
from tests.modules.trees import as_leaf, assert_same, build, trees


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
    for prefix, part in node.places():
        for name, leaf in part.buffers.items():
            kept = leaf is not None and name not in part.not_persistent
            assert (joined(prefix, name) in module.state_dict()) == kept
    module.to(getattr(torch, dtype))
    moved = [(name, leaf | {"dtype": dtype}) for name, leaf in node.named("buffers")]
    assert [(name, as_leaf(x)) for name, x in module.named_buffers()] == moved
    norm = nn.BatchNorm1d(2)
    counts = len(list(norm.parameters())), len(list(norm.buffers())), len(norm.state_dict())
    claim.shows("BatchNorm1d: {} parameters, {} buffers, {} entries in state_dict".format(*counts))


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
    overwrite(other)
    other.load_state_dict(saved)
    assert_same(other, node)

    key = list(saved)[left_out % len(saved)] if saved else None
    wrong = {k: v for k, v in saved.items() if k != key} | {"nobody": torch.zeros(1)}
    overwrite(other)
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
    layer = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({"weight": torch.full((1, 1), 7.0)})
    claim.shows(f"Linear, given only weight = 7: an error, and its weight is {layer.weight.item()}")


def overwrite(module: nn.Module) -> None:
    """All that is saved gets another number."""
    with torch.no_grad():
        for x in module.state_dict().values():
            x.fill_(9)


@fewer
@given(node=trees(), which=st.integers(0, 4), strict=st.booleans())
def test_another_shape_is_refused_strict_or_not(node: Node, which: int, strict: bool) -> None:
    """And whatever has its shape is loaded all the same."""
    module = build(node)
    state = {k: torch.full_like(x, 5) for k, x in module.state_dict().items()}
    if not state:
        return
    key = list(state)[which % len(state)]
    before = module.state_dict()[key].clone()
    state[key] = torch.zeros(len(before) + 1)
    places = [x.data_ptr() for k, x in module.state_dict().items() if k == key]
    with pytest.raises(RuntimeError, match=rf"size mismatch for {key}:"):
        module.load_state_dict(state, strict=strict)
    for k, x in module.state_dict().items():
        if k == key:
            assert len(x) == len(before)
        elif x.data_ptr() not in places:
            assert torch.equal(x, state[k])
