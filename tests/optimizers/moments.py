"""The structure of an optimizer through a history: what holds on every path and in every dtype."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.optimizers.events import AddGroup, Change, Schedule, Step
from tests.optimizers.history import History, Options


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
