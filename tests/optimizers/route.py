"""Where a history leads: the path and the dtype in which each event finds its parameters."""

from tests.harness.targets import Target, Targets
from tests.optimizers.events import Reload
from tests.optimizers.history import History
from tests.optimizers.paths import OTHER_DTYPE, PARTNERS, PATHS


def route(component: str, history: History, targets: Targets, start: Target) -> list[Target]:
    """The target of each event, from that on which the history begins.

    It stays where the other path or dtype is not asked for or cannot take what is there.
    """
    path, dtype = start.path, start.dtype
    # Adam's foreach path refuses a learning rate that is a tensor.
    partner = PARTNERS.get(path, path)
    if component != "sgd" and history.lr_as_tensor:
        partner = path
    other = OTHER_DTYPE[dtype]
    if other not in targets.dtypes or not PATHS[path].takes(other):
        other = dtype
    found = []
    for event in history.events:
        if isinstance(event, Reload):
            if event.swap:
                path = partner if path == start.path else start.path
            if event.recast:
                dtype = other if dtype == start.dtype else start.dtype
        found.append(Target(start.device, dtype, path))
    return found
