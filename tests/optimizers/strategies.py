"""How histories are drawn."""

import math
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from tests.harness.formats import Format
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.strategies.hyperparameters import learning_rates, weight_decays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import FAMILIES, Values
from tests.optimizers.events import (
    GRADIENTS,
    AddGroup,
    Change,
    Copy,
    Event,
    Hooks,
    Reload,
    Schedule,
    Step,
)
from tests.optimizers.history import History, Options, Parameter

# Simple ones first. The extreme ones soon overflow where they are squared, and then say little.
TAME = ("integers", "dyadic", "uniform", "integers", "uniform", "wide", "uniform", "extreme")


half_as_many = settings(max_examples=settings().max_examples // 2)
"""Examples: each is a history of several lives, with some two hundred comparisons."""


@st.composite
def histories(
    draw: st.DrawFn, options: st.SearchStrategy[Options], changes: st.SearchStrategy[Any]
) -> History:
    """One to three parameters in one or two groups, and up to seven events among which are steps.

    `changes` draws an option's name and its new value.
    """
    # The rare things are decided by a few dice, each a byte: draws are what a history costs.
    dice = draw(st.binary(min_size=8, max_size=8))
    drawn = draw(st.lists(shapes(max_dims=5, max_elements=129), min_size=1, max_size=3))
    if len(drawn) > 1 and dice[5] % 2:
        drawn[1] = drawn[0]  # a network has many of one shape
    if len(drawn) > 1 and dice[4] >= 208:
        drawn[dice[4] % 2] = (0,)
    parameters = tuple(
        Parameter(
            shape,
            layout_of(shape, die, writable=True),
            layout_of(shape, die // 8, writable=False),
            is_complex=die % 7 == 6,
        )
        for shape, die in zip(drawn, dice[:3], strict=False)
    )
    common = draw(options)
    sizes = [len(parameters)]
    if len(parameters) > 1 and dice[3] % 3 == 2:
        sizes = [1, len(parameters) - 1]
    groups = [(sizes[0], common)]
    if len(sizes) > 1:
        own = {"lr": draw(learning_rates), "weight_decay": draw(weight_decays)}
        groups.append((sizes[1], {**common, **own}))
    size = sum(math.prod(parameter.real_shape) for parameter in parameters)
    vectors = vectors_of(size, draw(st.sampled_from(TAME)))
    start = draw(vectors)

    events = [
        event(draw, die, vectors, len(groups), parameters, changes)
        for die in draw(st.lists(st.integers(0, 255), min_size=1, max_size=7))
    ]
    if len(groups) > 1 and dice[4] % 2:
        events.insert(dice[5] % (len(events) + 1), AddGroup())
    if not any(isinstance(event, Step) for event in events):
        events.append(Step(draw(vectors)))
    if dice[7] >= 240:  # what goes wrong late
        events += 11 * [event for event in events if isinstance(event, Step)][-1:]
    return History(
        parameters, tuple(groups), start, tuple(events), dice[6] % 4 > 0, dice[7] % 4 == 3
    )


def layout_of(shape: tuple[int, ...], die: int, writable: bool) -> str:
    """One that differs for so many dimensions; one of overlapping elements only to be read."""
    four_or_five = {4: ["channels_last"], 5: ["channels_last_3d"]}.get(len(shape), [])
    names = ["contiguous", *(3 * four_or_five), "transposed", "strided", "padded"]
    names += [] if writable or not shape else ["expanded"]
    return names[die % len(names)]


class Spread(Values):
    """Eight words drawn and all others made of them, zero of zero: a few bytes, and they shrink."""

    def numbers(self, fmt: Format) -> np.ndarray:
        drawn = np.frombuffer(self.words, ">u8").astype(np.uint64)
        turn, lane = np.divmod(np.arange(self.size), 8)
        words = drawn[lane] * (np.uint64(2 * GOLDEN) * turn.astype(np.uint64) + np.uint64(1))
        return fmt.round(FAMILIES[self.family](words, fmt))


GOLDEN = 0x1E37_79B9_7F4A_7C15  # any large number: its odd multiples are as good as random


def vectors_of(size: int, family: str) -> st.SearchStrategy[DrawnArray]:
    """Vectors of a size, of which the numbers stay while the shapes shrink."""
    words = st.binary(min_size=64, max_size=64)
    return words.map(lambda drawn: DrawnArray((size,), Spread(size, family, drawn), "contiguous"))


def event(
    draw: st.DrawFn,
    die: int,
    vectors: st.SearchStrategy[DrawnArray],
    groups: int,
    parameters: tuple[Parameter, ...],
    changes: st.SearchStrategy[Any],
) -> Event:
    """Mostly steps; every other event is one in twenty or so.

    Neither the norm of complex gradients nor a change of their dtype is among them: how the one is
    rounded is not modelled, the other is `load-state-dict-keeps-complex-dtype` of the ledger.
    """
    real = not any(parameter.is_complex for parameter in parameters)
    if die < 170:
        rare = draw(st.binary(min_size=4, max_size=4)) if die >= 85 else bytes(4)
        return Step(
            draw(vectors),
            GRADIENTS[rare[0] % len(GRADIENTS)],
            frozenset(i for i in range(len(parameters)) if rare[1] >> i & 1 and rare[1] >= 128),
            "to zeros" if rare[2] % 2 else "to None",
            twice=rare[2] % 8 >= 6,
            clip=2.0 if rare[3] % 8 == 3 else None,
            max_norm=1.0 if rare[3] % 8 == 7 and real else None,
            closure=rare[3] % 16 >= 12,
        )
    if die < 190:
        option, value = draw(changes)
        return Change(die % groups, option, value)
    if die < 205:
        return Schedule()
    if die < 230:
        return Reload(swap=die % 2 == 1, recast=die % 3 == 2 and real)
    return Copy() if die < 243 else Hooks()
