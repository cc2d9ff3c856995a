"""What happens to an optimizer: steps, and what is done between them."""

from dataclasses import dataclass
from typing import Any

from tests.harness.strategies.arrays import DrawnArray

GRADIENTS = ("normal", "zeros", "sparse", "tiny", "huge", "nan", "infinite")


@dataclass(frozen=True)
class Step:
    """Gradients, then `step`. They are None for the parameters that are `missing`."""

    grads: DrawnArray  # one vector for all parameters
    kind: str = "normal"
    missing: frozenset[int] = frozenset()
    zero_grad: str = "to None"  # or "to zeros": the gradient is then added to what is there
    twice: bool = False  # accumulated: the same gradient again
    clip: float | None = None  # by value
    max_norm: float | None = None  # of all gradients of one dtype together
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

    swap: bool = False  # on another path: see `PARTNERS`
    recast: bool = False  # of parameters in another dtype: see `OTHER_DTYPE`


@dataclass(frozen=True)
class Copy:
    """copy.deepcopy, and on with the copy and its parameters."""


@dataclass(frozen=True)
class Hooks:
    """From now on hooks count the steps, before and after."""


Event = Step | Change | Schedule | AddGroup | Reload | Copy | Hooks
