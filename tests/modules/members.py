"""What is done to one module of a tree: its attributes, and the members of containers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from torch import nn

from tests.harness.verdict import Deviation
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


class Members(RuleBasedStateMachine):
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
        if len(module) != len(members):
            right = f"len(got) == {len(members)}"
            raise Deviation(f"a {node.kind} has lost members", module, right=right)

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
