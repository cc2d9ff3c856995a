"""The life of a tree of modules: whatever is done to it, in any order, it is what the model is."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import nn

from tests.modules.model import Node
from tests.modules.trees import (
    assert_same,
    build,
    build_leaf,
    names,
    numbers,
    parameter,
    tensor,
    trees,
)

picks = st.integers(0, 7)
roots = st.sampled_from((0, 0, 0, 1, 2, 3))  # mostly the whole tree


class Trees(RuleBasedStateMachine):
    """One or two trees, the second a copy of the first, that have nothing to do with each other."""

    @initialize(node=trees())
    def grow(self, node: Node) -> None:
        self.trees: list[tuple[Any, Node]] = [(build(node), node)]

    @invariant()
    def every_question_has_the_same_answer(self) -> None:
        for module, node in getattr(self, "trees", []):
            assert_same(module, node)

    def pick(self, at: int, *kinds: str) -> tuple[Any, Node] | None:
        """One module of the newest tree, of one of some kinds."""
        root, model = self.trees[-1]
        pairs = zip(root.modules(), model.named_modules(), strict=True)
        fit = [(module, node) for module, (_, node) in pairs if not kinds or node.kind in kinds]
        return fit[at % len(fit)] if fit else None

    # Attributes

    @rule(at=picks, name=names, value=numbers | trees(depth=1) | st.none(), tied=st.booleans())
    def assign(self, at: int, name: str, value: Any, tied: bool) -> None:
        """A module, a parameter (a new one, or one that is elsewhere already), a tensor or None."""
        if not (picked := self.pick(at, "Module")):
            return
        module, node = picked
        built: dict[int, Any] = {}
        if isinstance(value, list):
            value = parameter(value) if tied else tensor(value)
            places = self.trees[-1][1].named("parameters")
            if tied and places:
                value = places[0][1]
                built = {id(value): next(self.trees[-1][0].parameters())}
        new = build(value) if isinstance(value, Node) else value and build_leaf(value, built)
        if node.assign(name, value):
            setattr(module, name, new)
        else:
            with pytest.raises(TypeError, match=f"cannot assign .* '{name}'"):
                setattr(module, name, new)

    @rule(at=picks, name=names, value=st.none() | numbers.map(tensor), persistent=st.booleans())
    def register_buffer(self, at: int, name: str, value: Any, persistent: bool) -> None:
        if picked := self.pick(at, "Module"):
            module, node = picked
            new = value and build_leaf(value, {})
            if node.register_buffer(name, value, persistent):
                module.register_buffer(name, new, persistent=persistent)
            else:
                with pytest.raises(KeyError, match=f"'{name}' already exists"):
                    module.register_buffer(name, new, persistent=persistent)

    @rule(at=picks, name=st.sampled_from("abpqt"))
    def delete(self, at: int, name: str) -> None:
        if picked := self.pick(at, "Module"):
            module, node = picked
            if node.delete(name):
                delattr(module, name)
            else:
                assert not hasattr(module, name)

    # Lists and dictionaries

    @rule(
        at=picks,
        how=st.sampled_from(("append", "append", "extend", "insert", "pop", "delete")),
        position=st.integers(0, 3),
        new=trees(depth=1),
    )
    def change_list(self, at: int, how: str, position: int, new: Node) -> None:
        if not (picked := self.pick(at, "ModuleList", "Sequential")):
            return
        module, node = picked
        members = list(node.children.values())
        if how in ("pop", "delete"):
            if not members:
                return
            position %= len(members)
            if how == "pop":
                module.pop(position)
            else:
                del module[position]
            del members[position]
        elif how == "insert":
            position %= len(members) + 1
            module.insert(position, build(new))
            members.insert(position, new)
        else:
            made = build(new)
            if how == "append":
                module.append(made)
            else:
                module.extend(nn.ModuleList([made, made]))
            members += [new] * (1 if how == "append" else 2)
        node.renumber(members)
        assert len(module) == len(members), f"a {node.kind} has lost members"

    @rule(
        at=picks,
        how=st.sampled_from(("update", "set", "pop", "clear")),
        name=names,
        new=trees(depth=1),
    )
    def change_dictionary(self, at: int, how: str, name: str, new: Node) -> None:
        if not (picked := self.pick(at, "ModuleDict")):
            return
        module, node = picked
        if how in ("update", "set"):
            made = build(new)
            if how == "set":
                module[name] = made
            else:
                module.update({name: made})
            node.children[name] = new
        elif how == "clear":
            module.clear()
            node.children.clear()
        elif name in node.children:
            popped = module[name]
            assert module.pop(name) is popped
            del node.children[name]
        assert list(module.keys()) == list(node.children)
        assert list(module.items()) == list(zip(module.keys(), module.values(), strict=True))

    # The whole tree

    @rule(at=roots, mode=st.booleans())
    def train(self, at: int, mode: bool) -> None:
        picked = self.pick(at)
        assert picked
        module, node = picked
        assert (module.train() if mode else module.eval()) is module
        for _, below in node.named_modules():
            below.training = mode

    @rule(at=roots, cleared=st.sampled_from(("not", "to None", "to zeros")))
    def backward(self, at: int, cleared: str) -> None:
        """Every parameter gets its own numbers for a gradient, or another time them."""
        picked = self.pick(at)
        assert picked
        module, node = picked
        for p in module.parameters():
            p.backward(p.detach())
        if cleared != "not":
            module.zero_grad(set_to_none=cleared == "to None")
        for _, leaf in node.named("parameters"):
            before = leaf["grad"] or [0] * len(leaf["numbers"])
            leaf["grad"] = {
                "not": [x + g for x, g in zip(leaf["numbers"], before, strict=True)],
                "to None": None,
                "to zeros": [0] * len(leaf["numbers"]),
            }[cleared]

    @rule(at=roots, dtype=st.sampled_from(("float64", "bfloat16", "float32")))
    def to(self, at: int, dtype: str) -> None:
        """All parameters, their gradients, and buffers; not plain tensors."""
        picked = self.pick(at)
        assert picked
        module, node = picked
        before = list(module.parameters())
        assert module.to(getattr(torch, dtype)) is module
        assert all(p is q for p, q in zip(before, module.parameters(), strict=True))
        for which in ("parameters", "buffers"):
            for _, leaf in node.named(which):
                leaf["dtype"] = dtype

    @precondition(lambda self: len(self.trees) < 2)
    @rule()
    def deepcopy(self) -> None:
        """What was shared is shared in the copy, but not with the copy. Gradients stay behind."""
        module, node = self.trees[-1]
        self.trees.append((copy.deepcopy(module), copy.deepcopy(node)))
        for _, leaf in self.trees[-1][1].named("parameters"):
            leaf["grad"] = None

    # State

    @rule()
    def save_and_load(self) -> None:
        """Through a file that holds tensors and nothing that could be run."""
        module, _ = self.trees[-1]
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        for p in module.parameters():
            p.data.fill_(7)
        result = module.load_state_dict(saved)
        assert (result.missing_keys, result.unexpected_keys) == ([], [])

    @rule(
        left_out=st.sets(picks, max_size=2),
        extra=st.none() | st.tuples(picks, st.sampled_from(("x", "a.x"))),
        strict=st.booleans(),
    )
    def load(self, left_out: set[int], extra: tuple[int, str] | None, strict: bool) -> None:
        """What is there is loaded, even where strict loading then complains of the rest."""
        module, node = self.trees[-1]
        wanted = node.state_dict()
        given = {key: x for i, (key, x) in enumerate(wanted.items()) if i not in left_out}
        new = {key: [5.0 + i] * len(x["numbers"]) for i, (key, x) in enumerate(given.items())}
        state = {key: torch.tensor(numbers) for key, numbers in new.items()}
        unexpected = set()
        if extra:
            places = list(node.places())
            key = ".".join(filter(None, (places[extra[0] % len(places)][0], extra[1])))
            state[key] = torch.zeros(1)
            unexpected = set() if node.swallows(key) else {key}
        missing = wanted.keys() - given.keys()
        if strict and (missing or unexpected):
            with pytest.raises(RuntimeError, match=r"Missing|Unexpected") as raised:
                module.load_state_dict(state)
            assert all(f'"{key}"' in str(raised.value) for key in missing | unexpected)
        else:
            result = module.load_state_dict(state, strict=strict)
            assert set(result.missing_keys) == missing
            assert set(result.unexpected_keys) == unexpected
        for key, leaf in given.items():  # in their order: of two names of one tensor the last wins
            leaf["numbers"] = new[key]


TestTrees = Trees.TestCase
TestTrees.settings = settings(
    stateful_step_count=20,
    # Not the last phase, which explains: it is slow on histories, and the steps speak.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
