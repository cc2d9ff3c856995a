"""What is done to a whole tree at once: modes, apply, zero_grad."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.claims.claim import Claim, holds, holds_with_care
from tests.claims.wide import fewer
from tests.harness.verdict import Deviation
from tests.modules.model import Node
from tests.modules.trees import assert_same, build, trees

small = st.lists(st.integers(-4, 4), min_size=3, max_size=3)


@holds("M7", "train() and eval() recurse; eval freezes dropout and the statistics of BatchNorm")
@fewer
@given(node=trees(), values=st.lists(small, min_size=2, max_size=4))
def test_modes_recurse_and_eval_freezes(claim: Claim, node: Node, values: Any) -> None:
    tree = build(node)
    for mode in (False, True):
        tree.train(mode) if mode else tree.eval()
        if any(module.training != mode for module in tree.modules()):
            right = f"all(module.training is {mode} for module in got.modules())"
            raise Deviation("modules: a mode does not reach all", tree, right=right)

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
    one = nn.BatchNorm1d(1)
    means = []
    for mode in (True, False):
        one.train(mode)(torch.tensor([[1.0], [3.0]]))
        assert one.running_mean is not None
        means.append(one.running_mean.item())
    claim.shows(
        "running mean, after a batch of mean 2 in training {:.1f}, then in eval {:.1f}".format(
            *means
        )
    )


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
    assert_same(module, node)
    module.apply(lambda m: visited.append(nodes[id(m)]))
    assert visited == list(node.applied())
    assert set(visited) == {n for _, n in node.named_modules()}
    for p in module.parameters():
        p.grad = torch.full_like(p, 3)
    module.zero_grad(set_to_none)
    cleared = "p.grad is None" if set_to_none else "not p.grad.any()"
    for p in module.parameters():
        if not (p.grad is None if set_to_none else torch.equal(p.grad, torch.zeros_like(p))):
            right = f"all({cleared} for p in got.parameters())"
            raise Deviation("modules: a gradient is not cleared", module, right=right)

    shared = nn.ReLU()
    calls: list[nn.Module] = []
    two_parents = nn.Sequential(nn.Sequential(shared), nn.Sequential(shared))
    two_parents.apply(calls.append)
    claim.shows(
        f"a ReLU in two Sequentials of one: {len(calls)} visits,"
        f" {len(list(two_parents.modules()))} modules"
    )
