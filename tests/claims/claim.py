"""A claim: a belief that learners hold about training, its verdict, and the numbers that show it.

A test that settles a claim is decorated with the verdict. It gets the claim as an argument, to
which it tells the numbers of its example:

    @does_not_hold("O5", "step() clears the gradients", "`.grad` stays, bit for bit")
    def test_step_leaves_gradients_alone(claim: Claim) -> None:
        ...
        claim.shows(f"after step() the gradient is still {grad:g}")

Where an example and a property settle it together, the decorator gets a name and decorates both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

SECTIONS = {
    "G": ("The graph and backward()", 19),
    "L": ("Layers and losses", 10),
    "O": ("Optimizers", 13),
    "C": ("Clipping", 5),
    "M": ("Modules", 8),
    "I": ("Initialisation", 4),
    "T": ("Tensors", 7),
    "N": ("Training", 3),
}

IDS = tuple(f"{letter}{n}" for letter, (_, count) in SECTIONS.items() for n in range(1, count + 1))
"""Every claim. `tests/meta/test_claims.py` asserts that each has its test."""

HOLDS, WITH_CARE, DOES_NOT_HOLD = "holds", "holds with care", "does not hold"


@dataclass
class Claim:
    """One belief and what became of it."""

    id: str
    belief: str  # as people say it, in a few words
    verdict: str
    statement: str  # what is so, where that takes more words than the belief
    numbers: str = field(default="", compare=False)

    def shows(self, numbers: str) -> None:
        """Record the numbers of an example: the same ones in every run, whatever is drawn."""
        self.numbers = numbers

    def __repr__(self) -> str:
        return self.id


DECLARED: dict[str, Claim] = {}


def holds(id: str, belief: str, statement: str = "") -> Callable[[Any], Any]:
    """It is as people say, and the test says exactly what that means."""
    return declare(Claim(id, belief, HOLDS, statement))


def holds_with_care(id: str, belief: str, statement: str) -> Callable[[Any], Any]:
    """It is a simplification: the test shows where it fails, and that the statement holds."""
    return declare(Claim(id, belief, WITH_CARE, statement))


def does_not_hold(id: str, belief: str, statement: str) -> Callable[[Any], Any]:
    """It is wrong: the test shows a case where it fails, and that the statement holds."""
    return declare(Claim(id, belief, DOES_NOT_HOLD, statement))


def declare(claim: Claim) -> Callable[[Any], Any]:
    if claim.id not in IDS:
        raise ValueError(f"claim {claim.id}: no such claim; {__name__}.SECTIONS lists them")
    if DECLARED.setdefault(claim.id, claim) != claim:
        raise ValueError(f"claim {claim.id}: it is declared twice; name one declaration, use both")
    return lambda test: pytest.mark.claim(id=claim.id)(
        pytest.mark.parametrize("claim", [claim], ids=[claim.id])(test)
    )
