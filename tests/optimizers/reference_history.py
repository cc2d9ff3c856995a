"""The reference's side of a history: the state after each event, with its bound."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from reference.clipping import clip_grads_with_norm, get_total_norm
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.optimizers.events import Step
from tests.optimizers.history import History
from tests.optimizers.moments import Moment, Update
from tests.optimizers.paths import Model

State = dict[str, Any]  # "param" and the optimizer's buffers, all parameters in one vector
ReferenceStep = Callable[[State, Any, Update, Model], State]


def reference_history(
    models: tuple[Model, ...],
    history: History,
    structure: list[Moment],
    reference_step: ReferenceStep,
) -> Iterator[State]:
    """The state after each event. `models` has how it rounds at first, and after each event."""
    model = models[0]
    state: State = {"param": model.rounding.array(history.starts(model.dtype))}
    zeros = np.zeros(history.start.shape)
    finite = np.ones(history.start.shape, dtype=bool)  # so far, and surely
    complex_ones = any(parameter.is_complex for parameter in history.parameters)
    for event, moment, after_event in zip(history.events, structure, models[1:], strict=True):
        if after_event != model:
            state = {name: loaded(x, model, after_event) for name, x in state.items()}
            model = after_event
        if isinstance(event, Step):
            grad = gradients(history, event, model.rounding)
            before = state
            for update in moment.updates:
                after = reference_step(before, grad, update, model)
                for name, x in after.items():
                    if x is before.get(name):
                        continue
                    new: Any = model.rounding.stored(x)
                    if update.where is not None:
                        old = state.get(name, model.rounding.array(zeros))
                        new = np.where(update.where, new, old)
                    state = {**state, name: new}
                    if complex_ones:
                        finite = finite & np.isfinite(new.value) & np.isfinite(new.bound)
        yield {**state, "finite": finite}


def loaded(x: Rounded, old: Model, new: Model) -> Rounded:
    """What was stored, where arithmetic rounds otherwise from now on; in another dtype, rounded."""
    rounding = new.rounding
    if new.dtype == old.dtype:
        return rounding.array(x)
    wide = rounding.storage == rounding.compute  # half types round when they are stored
    copy = Rounded(rounding, x.value, x.closed_bound, None, int(wide), x.last_bit)
    return rounding.stored(copy)


@lru_cache(maxsize=64)  # the models of a dtype mostly round alike
def gradients(history: History, step: Step, rounding: Rounding) -> Any:
    """What the optimizer sees. Clipping by norm rounds like kernels of its own, on any path."""
    dtype = rounding.storage.name
    numbers = history.accumulated(step, dtype)
    present = [i for i in range(len(history.parameters)) if i not in step.missing]
    if step.max_norm is None or not present:
        return rounding.array(numbers)
    kernel = Rounding.kernel(dtype)
    grad = kernel.array(numbers)
    norm: Any = kernel.stored(get_total_norm([grad[history.pieces[i][0]] for i in present]))
    # Where torch's reciprocal overflows float16 the factor is 1, as any larger one would be.
    small = dtype == "float16" and norm.value - norm.bound < 2.0**-16
    steps = kernel if small else Rounding.op_by_op(dtype)
    (clipped,) = clip_grads_with_norm([grad], step.max_norm, steps.array(norm))
    return rounding.array(kernel.stored(clipped))
