"""The life of a tree of modules: whatever is done to it, in any order, it is what the model is."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import get_state_machine_test, precondition, rule

from tests.modules.members import Members, picks

roots = st.sampled_from((0, 0, 0, 1, 2, 3))  # mostly the whole tree


class Trees(Members):
    """What is done to a whole tree, in between."""

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


test_whatever_is_done_to_trees_they_are_what_the_model_is = get_state_machine_test(
    Trees, settings=settings(stateful_step_count=20)
)
