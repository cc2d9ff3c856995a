"""The nodes that operations leave behind, their names, and how they are linked."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd.graph import Node

from reference import operations
from reference.graph import Tensor
from tests.autograd.exact import first
from tests.autograd.structure import same_graph
from tests.claims.claim import Claim, does_not_hold, holds, holds_with_care
from tests.harness.targets import Targets

ACCUMULATE = "torch::autograd::AccumulateGrad"


def chain(node: Node | None) -> list[str]:
    """The names of the nodes on the way to the data."""
    names: list[str] = []
    while node is not None and node.name() != ACCUMULATE:
        names.append(node.name())
        # Of addmm, the product stands second, after the bias.
        node = node.next_functions[node.name() == "AddmmBackward0"][0]
    return names


@holds(
    "G5",
    "an MLP's nodes are NllLoss, LogSoftmax, Addmm, Relu, Addmm, from the loss on",
    "and for any depth the graph is the one that `reference/graph.py` records",
)
@given(depth=st.integers(1, 5), width=st.integers(1, 4), rows=st.integers(1, 3))
def test_an_mlp_has_the_graph_of_the_reference(
    claim: Claim, targets: Targets, depth: int, width: int, rows: int
) -> None:
    for target in first(targets):
        layers: list[torch.nn.Module] = []
        for _ in range(depth):
            layers += [torch.nn.Linear(width, width), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).to(target.device, target.torch_dtype)
        x = torch.ones(rows, width, dtype=target.torch_dtype, device=target.device)
        labels = torch.zeros(rows, dtype=torch.int64, device=target.device)
        loss = F.cross_entropy(model(x), labels)

        parameters = [Tensor(np.ones(p.shape), requires_grad=True) for p in model.parameters()]
        y = Tensor(np.ones((rows, width)))
        for layer in range(depth):
            y = operations.relu(y) if layer else y
            y = operations.linear(y, *parameters[2 * layer : 2 * layer + 2])
        recorded = operations.nll_loss(operations.log_softmax(y), np.zeros(rows, int))
        leaves = dict(zip(parameters, model.parameters(), strict=True))
        # Two of the loss, four of each layer (its weight's and its bias's), a ReLU between them.
        assert same_graph([("loss", loss, recorded)], leaves) == 2 + 4 * depth + depth - 1
    mlp = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    loss = F.cross_entropy(mlp(torch.ones(1, 2)), torch.tensor([0]))
    names = chain(loss.grad_fn)
    said = ("NllLoss", "LogSoftmax", "Addmm", "Relu", "Addmm")
    assert names == [f"{name}Backward0" for name in said]
    claim.shows(" → ".join(names))


LINEAR = {
    ((2, 3), True): "AddmmBackward0",
    ((2, 3), False): "MmBackward0",
    ((4, 2, 3), True): "ViewBackward0 AddmmBackward0",
    ((4, 2, 3), False): "ViewBackward0 MmBackward0",
    ((3,), True): "ViewBackward0 AddmmBackward0",
    ((3,), False): "SqueezeBackward4 MmBackward0",
}
"""The nodes that Linear leaves, its output's first, by the shape of its input and bias=."""


@does_not_hold(
    "G6",
    "Linear's node is called LinearBackward0, ReLU's ReLUBackward0",
    "AddmmBackward0 for a matrix (MmBackward0 without bias; other inputs are made a matrix"
    " first), and ReluBackward0",
)
def test_nodes_are_named_after_kernels(claim: Claim, targets: Targets) -> None:
    for target in first(targets):
        if torch.device(target.device).type not in ("cpu", "cuda"):
            continue  # other devices may bring a kernel of their own
        found = {}
        for shape, bias in LINEAR:
            layer = torch.nn.Linear(3, 5, bias).to(target.device, target.torch_dtype)
            node = layer(torch.ones(shape, dtype=target.torch_dtype, device=target.device)).grad_fn
            # In 2.15 more of the views are unsafe.
            found[shape, bias] = " ".join(chain(node)).replace("UnsafeView", "View")
        assert not any("LinearBackward" in names for names in found.values())
        assert found == LINEAR
        x = torch.ones(3, dtype=target.torch_dtype, device=target.device, requires_grad=True)
        relu = torch.nn.ReLU()(x).grad_fn
        assert relu is not None
        assert relu.name() == "ReluBackward0"
    inputs = (f"input {s}{'' if b else ', no bias'}: {n}" for (s, b), n in LINEAR.items())
    claim.shows("; ".join(inputs))


@holds_with_care(
    "G7",
    "tensors are the nodes and operations the edges",
    "the functions are the nodes; an edge is a pair: a function, and which of its outputs",
)
@given(rows=st.integers(1, 4), data=st.data())
def test_an_edge_is_a_function_and_an_output_index(
    claim: Claim, targets: Targets, rows: int, data: st.DataObject
) -> None:
    picked = data.draw(st.integers(0, rows - 1))
    for target in first(targets):
        x = torch.ones((rows, 2), device=target.device, requires_grad=True)
        parts = x.unbind()
        assert {part.grad_fn for part in parts} == {parts[0].grad_fn}  # tensors, but one node
        after = (parts[picked] * 2).grad_fn
        assert after is not None
        assert after.next_functions[0] == (parts[0].grad_fn, picked)
    after = (torch.ones(2, requires_grad=True).unbind()[1] * 2).grad_fn
    assert after is not None
    node, index = after.next_functions[0]
    assert node is not None
    claim.shows(f"a, b = x.unbind(): b * 2 has the edge ({node.name()}, {index})")


@holds(
    "G8", "* + sum ** - give MulBackward0, AddBackward0, SumBackward0, PowBackward0, SubBackward0"
)
@given(shape=st.lists(st.integers(0, 3), max_size=3))
def test_operators_have_their_nodes(claim: Claim, targets: Targets, shape: list[int]) -> None:
    for target in first(targets):
        x = torch.ones(shape, dtype=target.torch_dtype, device=target.device, requires_grad=True)
        results = (x * x, x + x, x.sum(), x**2, x - x)
        names = [result.grad_fn.name() for result in results if result.grad_fn is not None]
        assert names == [f"{name}Backward0" for name in ("Mul", "Add", "Sum", "Pow", "Sub")]
    x = torch.ones(2, requires_grad=True)
    others = [result.grad_fn.name() for result in (2 - x, x.sum(0)) if result.grad_fn is not None]
    claim.shows(f"yet 2 - x leaves {others[0]}, and x.sum(0) {others[1]}")
