"""Where something is found in a module or an optimizer that has a name."""

from collections.abc import Callable, Iterator
from typing import Any

import torch


def places(owner: Any, name: str, named: Callable[[Any], str]) -> Iterator[tuple[str, Any]]:
    """All that is reached from an owner, and how. The parameters of an optimizer may have names."""
    if isinstance(owner, torch.nn.Module):
        for path, module in owner.named_modules():
            inner = f"{name}.get_submodule({path!r})" if path else name
            yield inner, module
            for last, x in (*module.named_parameters("", False), *module.named_buffers("", False)):
                yield f"{inner}.{last}", x
    elif isinstance(owner, torch.optim.Optimizer):
        for g, group in enumerate(owner.param_groups):
            for i, p in enumerate(group["params"]):
                param = named(p) or f"{name}.param_groups[{g}]['params'][{i}]"
                yield param, p
                for key, x in owner.state.get(p, {}).items():
                    yield f"{name}.state[{param}][{key!r}]", x
