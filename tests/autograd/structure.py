"""Whether torch's graph is the reference's: node for node, edge for edge.

The reference has one node where torch has a few: `linear` is a product with the transposed weight,
and torch records the transposition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.graph import get_gradient_edge

from reference.graph import AccumulateGrad, Node, Tensor
from tests.harness.verdict import Deviation

NAMES = {
    "AccumulateGrad": "torch::autograd::AccumulateGrad",
    "Add": "AddBackward0",
    "LogSoftmax": "LogSoftmaxBackward0",
    "Multiply": "MulBackward0",
    "NllLoss": "NllLossBackward0",
    "Power": "PowBackward0",
    "Relu": "ReluBackward0",
    "Subtract": "SubBackward0",
    "Sum": "SumBackward0",
    "Unbind": "UnbindBackward0",
}
"""What torch calls the nodes of the reference, in all of 2.11 to 2.15."""

Edge = tuple[Node, int] | None


def transposed(weight: Edge) -> Edge:
    """A node that the reference does not have."""
    return weight and (Node("TBackward0", lambda grad: grad.T, [], (weight,)), 0)


def in_torch(node: Node) -> tuple[str, tuple[Edge, ...]]:
    """The name that a node of the reference has in torch, and its edges there."""
    edges = node.next_functions
    if node.name == "Linear" and len(edges) == 2:
        return "MmBackward0", (edges[0], transposed(edges[1]))
    if node.name == "Linear":
        return "AddmmBackward0", (edges[2], edges[0], transposed(edges[1]))
    if node.name in ("NllLoss", "Power"):  # the labels, the exponent: no tensors for torch
        edges = edges[:1]
    return NAMES.get(node.name, node.name), edges


def same_graph(roots: list[tuple[str, torch.Tensor, Tensor]], leaves: dict[Tensor, Any]) -> int:
    """Walk both graphs at once, from some named values, or raise Deviation. The number of nodes.

    `leaves` says which tensor of torch stands for which leaf of the reference.
    """
    matched: dict[Node, Any] = {}
    pairs: list[tuple[str, Node, Any]] = []

    def meet(where: str, expected: Edge, node: Any, output_nr: int) -> None:
        if expected is None or node is None:
            if expected is not node:
                raise Deviation(
                    f"graph: {where} leads to {node}, expected {expected and expected[0].name}"
                )
            return
        if expected[1] != output_nr:
            raise Deviation(f"graph: {where} leads to output {output_nr}, expected {expected[1]}")
        if expected[0] in matched:
            if matched[expected[0]] is not node:
                raise Deviation(f"graph: {where} leads to another {node.name()} than expected")
            return
        if node in matched.values():
            raise Deviation(f"graph: {where} leads to a {node.name()} that belongs elsewhere")
        matched[expected[0]] = node
        pairs.append((where, expected[0], node))

    for name, actual, expected in roots:
        if expected.node is None:
            if actual.requires_grad:
                text = f"graph: {name} has a graph, expected none"
                raise Deviation(text, actual, right="not got.requires_grad")
            continue
        start = get_gradient_edge(actual)
        meet(name, (expected.node, expected.output_nr), start.node, start.output_nr)
    while pairs:
        where, ours, theirs = pairs.pop()
        name, edges = in_torch(ours)
        if theirs.name() != name or len(theirs.next_functions) != len(edges):
            raise Deviation(
                f"graph: {where} leads to {theirs.name()} with {len(theirs.next_functions)} edges,"
                f" expected {name} with {len(edges)}"
            )
        if isinstance(ours, AccumulateGrad) and theirs.variable is not leaves[ours.variable]:
            raise Deviation(f"graph: {where} leads to another leaf than expected")
        for number, (edge, (node, output_nr)) in enumerate(
            zip(edges, theirs.next_functions, strict=True)
        ):
            meet(f"{where}, {name}[{number}]", edge, node, output_nr)
    return len(matched)
