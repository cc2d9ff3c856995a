"""torch's side of a history: an optimizer that lives through it on one path."""

import copy
import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from tests.harness.doors import backend
from tests.harness.targets import Target
from tests.harness.verdict import IS_THERE, deviates
from tests.optimizers.events import AddGroup, Change, Copy, Event, Hooks, Reload, Schedule, Step
from tests.optimizers.gradients import accumulate, check_untouched
from tests.optimizers.history import History, Options
from tests.optimizers.members import members_of
from tests.optimizers.moments import Moment
from tests.optimizers.paths import PATHS


class Life:
    """The parameters, each in one dtype or more, their optimizer, and what must not change."""

    def __init__(
        self,
        component: str,
        optimizer: Callable[..., torch.optim.Optimizer],
        history: History,
        device: str,
        path: str,
        dtypes: list[str],
    ) -> None:
        self.component, self.optimizer, self.history = component, optimizer, history
        self.path, self.device = path, device
        self.flags = dict(PATHS[path].flags)
        self.differentiable = self.flags.get("differentiable", False)
        self.members = members_of(history, device, path, dtypes)
        starts = {dtype: torch.from_numpy(history.starts(dtype)) for dtype in dtypes}
        self.params = [
            m.tensor(starts[m.target.dtype], m.layout).requires_grad_(not self.differentiable)
            for m in self.members
        ]
        self.addresses = [param.data_ptr() for param in self.params]
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []  # what nothing may touch any more
        self.called = {"pre": torch.zeros(()), "post": torch.zeros(())}  # hooks
        self.expected_calls = 0
        self.hooked = False
        joined = len(history.groups) - history.joins_late
        groups = [self.group(g, given) for g, (_, given) in enumerate(history.groups)]
        self.opt = optimizer(groups[:joined], **self.flags)
        if PATHS[path].compiled:  # afresh: after eight variants of a step torch compiles no more
            torch.compiler.reset()

    def group(self, g: int, options: Options) -> dict[str, Any]:
        of = self.history.group_of
        params = [p for p, m in zip(self.params, self.members, strict=True) if of[m.i] == g]
        return {"params": params, **options, "lr": self.rate(options["lr"])}

    def rate(self, lr: float) -> Any:
        """As a tensor where the history asks for it, which Adam's for-loop and foreach refuse."""
        taken = self.component == "sgd" or self.path in {"fused", "differentiable", "capturable"}
        as_tensor = self.history.lr_as_tensor and taken
        return torch.tensor(lr, dtype=torch.float64) if as_tensor else lr

    def live(self, event: Event, moment: Moment, route: dict[str, Target]) -> None:
        """`route` has where each dtype's parameters are to be after the event."""
        match event:
            case Step():
                self.step(event, moment)
            case Change(g, option, value):
                if g < len(self.opt.param_groups):
                    self.opt.param_groups[g][option] = self.rate(value) if option == "lr" else value
            case Schedule():
                with warnings.catch_warnings():  # that no step came before it
                    warnings.simplefilter("ignore", UserWarning)
                    torch.optim.lr_scheduler.ExponentialLR(self.opt, gamma=0.5).step()
            case AddGroup():
                g = len(self.opt.param_groups)
                self.opt.add_param_group(self.group(g, moment.options[g]))
            case Reload():
                self.reload(route)
            case Copy():
                old = [param for group in self.opt.param_groups for param in group["params"]]
                self.opt = copy.deepcopy(self.opt)
                new = [param for group in self.opt.param_groups for param in group["params"]]
                self.replace(dict(zip(old, new, strict=True)))
            case Hooks():
                if not self.hooked:
                    self.opt.register_step_pre_hook(lambda *_: self.count("pre"))
                    self.opt.register_step_post_hook(lambda *_: self.count("post"))
                self.hooked = True

    def replace(self, new: dict[torch.Tensor, torch.Tensor]) -> None:
        """Go on with other parameters. Nothing may touch the old ones any more."""
        self.kept += [(param, param.detach().clone()) for param in new]
        self.params = [new.get(param, param) for param in self.params]
        self.addresses = [param.data_ptr() for param in self.params]
        self.hooked = False

    def count(self, call: str) -> None:
        self.called[call].add_(1)

    def reload(self, route: dict[str, Target]) -> None:
        """state_dict, a file, and a new optimizer, of parameters in other dtypes perhaps."""
        file = io.BytesIO()
        torch.save(self.opt.state_dict(), file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        self.path = next(iter(route.values())).path
        self.flags = dict(PATHS[self.path].flags)
        for group in saved["param_groups"]:
            group.update(self.flags)
        new = {}
        for param, member in zip(self.params, self.members, strict=True):
            dtype = route[member.began].dtype
            if dtype != member.target.dtype:
                member.target = replace(member.target, dtype=dtype)
                new[param] = param.detach().to(member.target.torch_dtype)
                new[param].requires_grad_(not self.differentiable)
        self.replace(new)
        groups = [
            {"params": [new.get(param, param) for param in group["params"]]}
            for group in self.opt.param_groups
        ]
        self.opt = self.optimizer(groups, lr=123.0, **self.flags)
        self.opt.load_state_dict(saved)

    def step(self, event: Step, moment: Moment) -> None:
        def backward() -> torch.Tensor:
            self.given = accumulate(self, event, moment)
            return loss

        loss = torch.tensor(0.25, device=self.device)
        compiled = PATHS[self.path].compiled
        step = torch.compile(self.opt.step, backend=backend()) if compiled else self.opt.step
        # With a closure nothing is compiled: github.com/pytorch/pytorch/issues/123479
        if event.closure and not compiled:
            got: Any = step(backward)  # type: ignore[arg-type]
            if got is None:
                self.wrong(0, "loss", "of the closure is not returned", right=IS_THERE)
            if got is not loss:
                what = "is not what the closure returned"
                self.wrong(0, "loss", what, (got, loss), "got[0] is got[1]")
        else:
            backward()
            step()
        self.expected_calls += self.hooked
        check_untouched(self, self.given, moment)

    def wrong(self, k: int, output: str, what: str, got: Any = None, right: str = "") -> None:
        deviates(self.component, output, self.members[k].target, what, got, right)
