"""Histories of an optimizer: parameters in groups, and a list of what happens to them.

A history is drawn as a value, not lived rule by rule: so one history runs on every path and dtype
against few evaluations of the reference, shrinks as a list does, and prints as torch code.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.formats import FORMATS, Format
from tests.harness.strategies.arrays import DrawnArray
from tests.harness.strategies.hyperparameters import learning_rates, weight_decays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import FAMILIES, Values

Options = dict[str, Any]
Piece = tuple[slice, tuple[int, ...]]


@dataclass(frozen=True)
class Parameter:
    """One parameter; a complex one is, to the reference, an array of pairs."""

    shape: tuple[int, ...]
    layout: str = "contiguous"
    grad_layout: str = "contiguous"
    is_complex: bool = False

    @property
    def real_shape(self) -> tuple[int, ...]:
        return (*self.shape, 2) if self.is_complex else self.shape


# Simple ones first. The extreme ones soon overflow where they are squared, and then say little.
TAME = ("integers", "dyadic", "uniform", "integers", "uniform", "wide", "uniform", "extreme")
GRADIENTS = ("normal", "zeros", "sparse", "tiny", "huge", "non-finite")


@dataclass(frozen=True)
class Step:
    """Gradients, then `step`. They are None for the parameters that are `missing`."""

    grads: DrawnArray  # one vector for all parameters
    kind: str = "normal"
    missing: frozenset[int] = frozenset()
    zero_grad: str = "to None"  # or "to zeros": the gradient is then added to what is there
    twice: bool = False  # accumulated: the same gradient again
    clip: float | None = None  # by value
    closure: bool = False


@dataclass(frozen=True)
class Change:
    """An option of a group set between steps."""

    group: int
    option: str
    value: Any


@dataclass(frozen=True)
class Schedule:
    """A real scheduler halves every group's lr."""


@dataclass(frozen=True)
class AddGroup:
    """The last group joins only now."""


@dataclass(frozen=True)
class Reload:
    """state_dict, torch.save, torch.load, and on with a new optimizer."""

    swap: bool  # between the for-loop and the foreach path


@dataclass(frozen=True)
class Copy:
    """copy.deepcopy, and on with the copy and its parameters."""


@dataclass(frozen=True)
class Hooks:
    """From now on hooks count the steps, before and after."""


Event = Step | Change | Schedule | AddGroup | Reload | Copy | Hooks


def moderate(numbers: np.ndarray, fmt: Format) -> np.ndarray:
    """At most an eighth of the largest number.

    Adam's `lerp` takes the difference of its average and the gradient, which else overflows.
    """
    return np.clip(numbers, -fmt.max / 8, fmt.max / 8)


@dataclass(frozen=True, repr=False)
class History:
    """All parameters lie in one vector, and so do their gradients at each step.

    An optimizer works on each element by itself, so one evaluation of the reference serves all.
    """

    parameters: tuple[Parameter, ...]
    groups: tuple[tuple[int, Options], ...]  # how many of the parameters, and their options
    start: DrawnArray
    events: tuple[Event, ...]
    mixed: bool = False  # dtypes in one group
    lr_as_tensor: bool = False

    @property
    def pieces(self) -> list[Piece]:
        """Where each parameter lies in the vector, and its shape there."""
        shapes = [parameter.real_shape for parameter in self.parameters]
        ends = np.cumsum([0, *map(math.prod, shapes)])
        return [(slice(*ends), shape) for ends, shape in zip(pairwise(ends), shapes, strict=True)]

    @property
    def group_of(self) -> list[int]:
        return [g for g, (size, _) in enumerate(self.groups) for _ in range(size)]

    @property
    def joins_late(self) -> bool:
        return any(isinstance(event, AddGroup) for event in self.events)

    def starts(self, dtype: str) -> np.ndarray:
        """The parameters before the first step."""
        return moderate(self.start.numbers(dtype), FORMATS[dtype])

    def grads(self, step: Step, dtype: str) -> np.ndarray:
        """The numbers that a dtype makes of a step's gradients, before they are accumulated."""
        fmt = FORMATS[dtype]
        numbers = moderate(step.grads.numbers(dtype), fmt)
        if step.kind == "zeros":
            numbers[:] = 0
        elif step.kind == "sparse":
            numbers[np.arange(numbers.size) % 3 > 0] = 0
        elif step.kind in {"tiny", "huge"}:
            exponent = fmt.max_exponent // 4
            with np.errstate(over="ignore"):
                scaled = np.ldexp(numbers, exponent if step.kind == "huge" else -exponent)
            numbers = moderate(fmt.round(scaled), fmt)
        for parameter, (where, shape) in zip(self.parameters, self.pieces, strict=True):
            piece = numbers[where].reshape(shape)
            if parameter.grad_layout == "expanded" and parameter.shape and piece.size:
                numbers[where] = np.broadcast_to(piece[:1], shape).ravel()
            elif step.kind == "non-finite" and not parameter.is_complex and piece.size:
                numbers[where.start] = np.nan
        return numbers + 0.0 if step.zero_grad == "to zeros" else numbers

    def accumulated(self, step: Step, dtype: str) -> np.ndarray:
        """The gradients that `step` sees: all that is done to them is exact."""
        numbers = self.grads(step, dtype) * (2 if step.twice else 1)
        if step.clip is not None:
            for parameter, (where, _) in zip(self.parameters, self.pieces, strict=True):
                if not parameter.is_complex:  # they have no order
                    numbers[where] = np.clip(numbers[where], -step.clip, step.clip)
        return numbers

    def features(self) -> set[str]:
        """What occurs in this history, by name: for the count of how often each does."""
        found = {f"layout {p.layout}" for p in self.parameters}
        found |= {f"gradient layout {p.grad_layout}" for p in self.parameters}
        found |= {"complex" for p in self.parameters if p.is_complex}
        found |= {"0-d" for p in self.parameters if p.shape == ()}
        empty = [math.prod(p.shape) == 0 for p in self.parameters]
        if any(empty) and not all(empty):
            found |= {"empty first"} if empty[0] else set()
            found |= {"empty last"} if empty[-1] else set()
            found |= {"empty in the middle"} if any(empty[1:-1]) else set()
        found |= {name for name in ("mixed", "lr_as_tensor") if getattr(self, name)}
        found |= {"eleven steps"} if len(self.events) > 10 else set()
        found |= {"two groups"} if len(self.groups) > 1 else set()
        for _, options in self.groups:
            found |= {f"{name} {'on' if value else 'off'}" for name, value in options.items()}
        for event in self.events:
            found.add(type(event).__name__)
            if isinstance(event, Step):
                found |= {f"{event.kind} gradients", f"zero_grad {event.zero_grad}"}
                found |= {"gradient None"} if event.missing else set()
                found |= {n for n in ("twice", "clip", "closure") if getattr(event, n)}
            elif isinstance(event, Change):
                found.add(f"change {event.option}")
            elif isinstance(event, Reload) and event.swap:
                found.add("reload on another path")
        return found

    def __repr__(self) -> str:
        return f"<{len(self.events)} events from {self.start!r}; its torch code is below>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text(repr(self))


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
    if len(drawn) == 3 and dice[4] >= 224:
        drawn[1] = (0,)
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
        event(draw, die, vectors, len(groups), len(parameters), changes)
        for die in draw(st.lists(st.integers(0, 255), min_size=1, max_size=7))
    ]
    if len(groups) > 1 and dice[4] % 2:
        events.insert(dice[5] % (len(events) + 1), AddGroup())
    if not any(isinstance(event, Step) for event in events):
        events.append(Step(draw(vectors)))
    if dice[7] >= 240:  # what goes wrong late
        events += 11 * [event for event in events if isinstance(event, Step)][-1:]
    return History(
        parameters, tuple(groups), start, tuple(events), dice[6] % 3 == 2, dice[7] % 4 == 3
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
    parameters: int,
    changes: st.SearchStrategy[Any],
) -> Event:
    """Mostly steps; every other event is one in twenty or so."""
    if die < 170:
        rare = draw(st.binary(min_size=4, max_size=4)) if die >= 85 else bytes(4)
        return Step(
            draw(vectors),
            GRADIENTS[rare[0] % 6],
            frozenset(i for i in range(parameters) if rare[1] >> i & 1 and rare[1] >= 128),
            "to zeros" if rare[2] % 2 else "to None",
            twice=rare[2] % 8 >= 6,
            clip=2.0 if rare[3] % 4 == 3 else None,
            closure=rare[3] % 16 >= 12,
        )
    if die < 190:
        option, value = draw(changes)
        return Change(die % groups, option, value)
    if die < 205:
        return Schedule()
    if die < 230:
        return Reload(swap=die % 2 == 1)
    return Copy() if die < 243 else Hooks()


@dataclass(frozen=True)
class Update:
    """What one step does to the parameters that have the same options and the same past."""

    group: int
    where: np.ndarray | None  # the elements; None for all of them
    options: Options
    step: int
    first: bool  # no momentum buffer yet


@dataclass
class Moment:
    """The structure of an optimizer after an event: what holds on every path and in every dtype."""

    options: list[Options]
    joined: int  # groups that are there
    steps: list[int]  # of each parameter
    buffers: list[bool]  # whether each parameter has a momentum buffer
    updates: list[Update] = field(default_factory=list)


def moments(history: History) -> list[Moment]:
    """The structure after each event."""
    options = [dict(given) for _, given in history.groups]
    joined = len(options) - history.joins_late
    count = len(history.parameters)
    steps, buffers, found = [0] * count, [False] * count, []
    for event in history.events:
        updates = []
        match event:
            case Change(group, option, value):
                options[group][option] = value
            case Schedule():
                for present in options[:joined]:
                    present["lr"] = present["lr"] * 0.5
            case AddGroup():
                joined = len(options)
            case Step():
                alike: dict[Any, list[int]] = {}
                for i, g in enumerate(history.group_of):
                    if g < joined and i not in event.missing:
                        alike.setdefault((g, steps[i], buffers[i]), []).append(i)
                for (g, step, buffered), members in alike.items():
                    where = None
                    if len(members) < count:
                        where = np.zeros(history.start.shape, dtype=bool)
                        for i in members:
                            where[history.pieces[i][0]] = True
                    updates.append(Update(g, where, dict(options[g]), step + 1, not buffered))
                    for i in members:
                        steps[i] += 1
                        buffers[i] |= options[g].get("momentum", 0) != 0
        found.append(
            Moment([dict(group) for group in options], joined, [*steps], [*buffers], updates)
        )
    return found
