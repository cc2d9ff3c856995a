"""Trees of modules: drawn as the model, built with torch, and asked the same questions."""

from __future__ import annotations

from types import GeneratorType
from typing import Any

import torch
from hypothesis import strategies as st
from torch import nn

from tests.harness.verdict import Deviation
from tests.modules.model import Leaf, Node, once

KINDS = ("Module", "Sequential", "ModuleList", "ModuleDict")
names = st.sampled_from("abpq")
numbers = st.lists(st.integers(-4, 4), max_size=2)
often = st.sampled_from((False, True, True, True))


def parameter(numbers: list[int]) -> Leaf:
    return {"numbers": numbers, "dtype": "float32", "grad": None}


def tensor(numbers: list[int]) -> Leaf:
    return {"numbers": numbers, "dtype": "float32"}


@st.composite
def trees(draw: st.DrawFn, depth: int = 2, shared: list[Node] | None = None) -> Node:
    """A tree of at most three levels. What was made before may appear again elsewhere in it."""
    shared = [] if shared is None else shared
    node = Node(draw(st.sampled_from(KINDS[: 4 if depth else 1])))
    if node.kind == "Module":
        if draw(often):
            node.parameters["p"] = draw(numbers.map(parameter) | st.none())
        if draw(often):
            node.buffers["q"] = draw(numbers.map(tensor) | st.none())
            if draw(st.booleans()):
                node.not_persistent.add("q")
        if draw(st.booleans()):
            node.plain["t"] = tensor([1])
    children: list[Node | None] = []
    for _ in range(draw(st.sampled_from((0, 1, 1, 2, 2))) if depth else 0):
        again = bool(shared) and draw(st.integers(0, 3)) == 3
        child = draw(st.sampled_from(shared) if again else trees(depth - 1, shared))
        children.append(child)
    if node.kind in ("Sequential", "ModuleList"):
        node.renumber(children)
    else:
        node.children = dict(zip("ab", children, strict=False))
        if node.kind == "Module" and children and draw(st.integers(0, 4)) == 4:
            node.children["a"] = None
    shared.append(node)
    return node


def build(node: Node, built: dict[int, Any] | None = None) -> Any:
    """The same with torch: what is one object there is one here."""
    built = {} if built is None else built
    if id(node) in built:
        return built[id(node)]
    members: dict[str, Any] = {
        name: None if child is None else build(child, built)
        for name, child in node.children.items()
    }
    module: Any
    if node.kind == "Module":
        module = nn.Module()
        for name, member in members.items():
            module.register_module(name, member)
    else:
        kind = getattr(nn, node.kind)
        module = kind(members) if kind is nn.ModuleDict else as_list(kind, members)
    for name, leaf in node.parameters.items():
        module.register_parameter(name, leaf and build_leaf(leaf, built))
    for name, leaf in node.buffers.items():
        module.register_buffer(
            name, leaf and build_leaf(leaf, built), persistent=name not in node.not_persistent
        )
    for name, leaf in node.plain.items():
        setattr(module, name, leaf and build_leaf(leaf, built))
    return built.setdefault(id(node), module)


def as_list(kind: Any, members: dict[str, Any]) -> nn.Module:
    return kind(*members.values()) if kind is nn.Sequential else kind(members.values())


def build_leaf(leaf: Leaf, built: dict[int, Any]) -> torch.Tensor:
    if id(leaf) not in built:
        made = torch.tensor(leaf["numbers"], dtype=getattr(torch, leaf["dtype"]))
        built[id(leaf)] = nn.Parameter(made) if "grad" in leaf else made
    return built[id(leaf)]


# The same questions, their answers in the same words


def of_model(root: Node) -> dict[str, Any]:
    modules = root.named_modules()
    return {
        "parameters": [leaf for _, leaf in root.named("parameters")],
        "named_parameters": root.named("parameters"),
        "named_buffers": root.named("buffers"),
        "named_children": [(name, child.kind) for name, child in root.named_children()],
        "named_modules": [(name, node.kind) for name, node in modules],
        "every place of a module": sharing(root.places()),
        "modules visited by apply": [node.kind for node in root.applied()],
        "plain tensors": [node.plain for _, node in modules],
        "training": [node.training for _, node in modules],
        "state_dict": [
            (name, leaf["numbers"], leaf["dtype"]) for name, leaf in root.state_dict().items()
        ],
    }


def of_torch(root: Any) -> dict[str, Any]:
    assert isinstance(root.parameters(), GeneratorType)
    modules = list(root.named_modules())
    visited: list[nn.Module] = []
    root.apply(visited.append)
    return {
        "parameters": [as_leaf(p) for p in root.parameters()],
        "named_parameters": [(name, as_leaf(p)) for name, p in root.named_parameters()],
        "named_buffers": [(name, as_leaf(b)) for name, b in root.named_buffers()],
        "named_children": [(name, type(child).__name__) for name, child in root.named_children()],
        "named_modules": [(name, type(module).__name__) for name, module in modules],
        "every place of a module": sharing(root.named_modules(remove_duplicate=False)),
        "modules visited by apply": [type(module).__name__ for module in visited],
        "plain tensors": [
            {name: as_leaf(getattr(module, name)) for name in vars(module) if len(name) == 1}
            for _, module in modules
        ],
        "training": [module.training for _, module in modules],
        "state_dict": [
            (name, as_leaf(x)["numbers"], as_leaf(x)["dtype"])
            for name, x in root.state_dict().items()
        ],
    }


def sharing(places: Any) -> list[tuple[str, str]]:
    """For each place, the first place of what is there."""
    places = list(places)
    first = {id(value): name for name, value in once(places)}
    return [(name, first[id(value)]) for name, value in places]


def as_leaf(x: Any) -> Any:
    """A tensor of torch in the words of the model."""
    if x is None:
        return None
    leaf: Leaf = {"numbers": x.tolist(), "dtype": str(x.dtype).removeprefix("torch.")}
    if isinstance(x, nn.Parameter):
        leaf["grad"] = None if x.grad is None else x.grad.tolist()
        assert x.grad is None or x.grad.dtype == x.dtype
    return leaf


def assert_same(module: Any, node: Node) -> None:
    """Every question has the answer that the dictionaries give."""
    got, expected = of_torch(module), of_model(node)
    for question, answer in expected.items():
        if (found := got[question]) != answer:
            text = f"modules: {question} on cpu is {found}, expected {answer}"
            asked = IN_PYTHON.get(question)
            raise Deviation(text, module, right=(asked and f"{asked} == {plainly(answer)}") or "")


LEAF = "(x.tolist(), str(x.dtype)[6:])"
PARAMETER = "(x.tolist(), str(x.dtype)[6:], None if x.grad is None else x.grad.tolist())"
IN_PYTHON = {
    "parameters": f"[{PARAMETER} for x in got.parameters()]",
    "named_parameters": f"[(name, {PARAMETER}) for name, x in got.named_parameters()]",
    "named_buffers": f"[(name, {LEAF}) for name, x in got.named_buffers()]",
    "named_children": "[(name, type(x).__name__) for name, x in got.named_children()]",
    "named_modules": "[(name, type(x).__name__) for name, x in got.named_modules()]",
    "modules visited by apply": "[x for x in (lambda found: (got.apply(lambda module:"
    " found.append(type(module).__name__)), found)[1])([])]",
    "training": "[x.training for x in got.modules()]",
    "state_dict": f"[(name, *{LEAF}) for name, x in got.state_dict().items()]",
}
"""The questions as a script asks them, of a module `got`."""


def plainly(answer: Any) -> Any:
    """Leaves without the names of their parts."""
    if isinstance(answer, list | tuple):
        return type(answer)(map(plainly, answer))
    return tuple(answer.values()) if isinstance(answer, dict) else answer
