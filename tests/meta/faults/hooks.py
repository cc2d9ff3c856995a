"""Faults of the hooks of modules."""

from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def hooked(hook: Any = lambda *args: None, remove: bool = False) -> Any:
    """What hooks hear of a call, and what it gives."""
    module = nn.Linear(2, 2)
    heard: list[Any] = []
    handle = module.register_forward_hook(lambda *args: heard.append(args[-1]))
    module.register_forward_hook(hook)
    if remove:
        handle.remove()
    return module(numbers(1, 2)), heard


PLACES |= {
    "modules hook": Place(nn.Module, "register_forward_hook", hooked),
    "modules remove hook": Place(RemovableHandle, "remove", lambda: hooked(remove=True)),
}


@fault("modules hook", "registration", message="test_hooks_run_once_each")
def hook_runs_twice(sound: Function) -> Function:
    """A forward hook is called twice for each call of its module."""

    def register(self: Any, hook: Any, **options: Any) -> Any:
        sound(self, hook, **options)
        return sound(self, hook, **options)

    return register


@fault("modules remove hook", "registration", message="test_hooks_run_once_each")
def hook_not_removed(sound: Function) -> Function:
    """The handle of a hook removes nothing."""
    return lambda self: None  # type: ignore[return-value]


@fault(
    "modules hook",
    "registration",
    witness=lambda: hooked(lambda module, args, output: -output),
    message="test_hooks_run_once_each",
)
def answer_ignored(sound: Function) -> Function:
    """What a forward hook returns does not take the place of the output."""

    def register(self: Any, hook: Any, **options: Any) -> Any:
        def without_answer(*args: Any) -> None:
            hook(*args)

        return sound(self, without_answer, **options)

    return register
