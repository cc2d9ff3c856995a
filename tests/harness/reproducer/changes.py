"""What has changed: between the recorded calls, and by a call itself."""

import io
from typing import Any

import torch

from tests.harness.reproducer.statements import Statement
from tests.harness.reproducer.tape import Tape


class Changes:
    """Between the calls: the random state, the options of an optimizer, the place in a file."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.random = torch.default_generator.get_state()
        self.options: dict[int, list[dict[str, Any]]] = {}  # of optimizers, as the tape has them

    def notice(self, args: tuple[Any, ...]) -> None:
        """Put on the tape what the next call, with these arguments, is to find."""
        now = torch.default_generator.get_state()
        if not torch.equal(now, self.random):
            seed = torch.default_generator.initial_seed()
            if torch.equal(torch.Generator().manual_seed(seed).get_state(), now):
                self.tape.body.append(Statement(f"torch.manual_seed({seed})"))
            self.random = now
        if args and isinstance(args[0], io.BytesIO) and self.tape.name(args[0]):
            self.tape.body.append(Statement(f"{self.tape.spell(args[0])}.seek({args[0].tell()})"))
        opt = args[0] if args else None
        inside = self.tape.body is not self.tape.statements  # where they may be torch's doing
        name = self.tape.name(opt)
        if isinstance(opt, torch.optim.Optimizer) and name and not inside:
            self.notice_options(opt, name)

    def notice_options(self, opt: torch.optim.Optimizer, name: str) -> None:
        groups = [{k: v for k, v in g.items() if k != "params"} for g in opt.param_groups]
        before = self.options.get(id(opt), groups)
        for g, (old, new) in enumerate(zip(before, groups, strict=False)):
            for key, value in new.items():
                if key not in old or (old[key] is not value and old[key] != value):
                    option = f"{name}.param_groups[{g}][{key!r}]"
                    self.tape.body.append(Statement(f"{option} = {self.tape.spell(value, key)}"))
        self.options[id(opt)] = groups


def versions(*given: Any) -> list[int]:
    """How often each tensor within the arguments, and its gradient, has been written to."""
    found: list[int] = []
    for x in given:
        match x:
            case torch.Tensor():
                found += [x._version, x.grad._version if x.is_leaf and x.grad is not None else -1]
            case torch.nn.Module():
                found += versions(*x.parameters(), *x.buffers())
            case torch.optim.Optimizer():
                found += versions([group["params"] for group in x.param_groups], dict(x.state))
            case dict():
                found += versions(*x.values())
            case tuple() | list():
                found += versions(*x)
    return found
