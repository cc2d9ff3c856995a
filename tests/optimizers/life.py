"""torch's side of a history: an optimizer that lives through it on one path."""

import copy
import io
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch

from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.targets import Target
from tests.harness.verdict import deviates
from tests.optimizers.history import (
    AddGroup,
    Change,
    Copy,
    Event,
    History,
    Hooks,
    Moment,
    Parameter,
    Reload,
    Schedule,
    Step,
)
from tests.optimizers.paths import PATHS

Optimizer = torch.optim.Optimizer
BUFFERS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")


def fused_kernels_misread(param: torch.Tensor, grad: torch.Tensor) -> bool:
    """On the CPU they step through memory as if both lay alike, without gaps.

    See `tests/optimizers/test_known_faults.py`.
    """
    dense = param.numel() == 0 or param.untyped_storage().nbytes() == param.nbytes
    return not dense or param.stride() != grad.stride() or param.numel() != grad.numel()


def foreach_nesterov_overwrites(life: "Life", moment: Moment, i: int) -> bool:
    """The gradient, with the direction of the step, where it has no copy of it yet."""
    options = moment.options[life.history.group_of[i]]
    copied = options["maximize"] or options["weight_decay"] != 0
    return life.flags["foreach"] and options.get("nesterov", False) and not copied


class Life:
    """The parameters, the optimizer, and what must not change.

    `dtypes` has one for each parameter.
    """

    def __init__(
        self,
        component: str,
        optimizer: Callable[..., Optimizer],
        history: History,
        device: str,
        path: str,
        dtypes: list[str],
    ) -> None:
        self.component, self.optimizer, self.history = component, optimizer, history
        self.path, self.dtypes, self.device = path, dtypes, device
        self.targets = [Target(device, dtype, path) for dtype in dtypes]
        self.flags = dict(PATHS[path].flags)
        self.numbers = {dtype: torch.from_numpy(history.starts(dtype)) for dtype in set(dtypes)}
        self.layouts = [self.layouts_of(i) for i in range(len(dtypes))]
        self.params = [self.laid_out(i, self.numbers, 0) for i in range(len(dtypes))]
        for param in self.params:
            param.requires_grad_(not self.flags.get("differentiable", False))
        self.addresses = [param.data_ptr() for param in self.params]
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []  # what nothing may touch any more
        self.calls = {"pre": 0, "post": 0, "expected": 0}
        self.hooked = False
        first = Moment([dict(o) for _, o in history.groups], 0, [], [])
        joined = len(history.groups) - history.joins_late
        self.opt = optimizer([self.group(g, first) for g in range(joined)], **self.flags)

    # The tensors

    def laid_out(self, i: int, numbers: dict[str, torch.Tensor], which: int) -> torch.Tensor:
        """Parameter i's share of the numbers of each dtype, as a tensor in its layout."""
        (where, shape), target = self.history.pieces[i], self.targets[i]
        piece = numbers[target.dtype][where].to(self.device, target.torch_dtype).reshape(shape)
        if self.is_complex(i):
            piece = torch.view_as_complex(piece.clone())
        layout = self.layouts[i][which] if self.layouts else "contiguous"
        return LAYOUTS[layout](piece.clone()).detach()

    def is_complex(self, i: int) -> bool:
        """Half types and fused kernels know no complex numbers: there the pairs are just pairs."""
        wide = self.targets[i].dtype in {"float32", "float64"}
        return self.history.parameters[i].is_complex and wide and self.path != "fused"

    def layouts_of(self, i: int) -> tuple[str, str]:
        parameter: Parameter = self.history.parameters[i]
        layouts = parameter.layout, parameter.grad_layout
        if self.path == "fused":
            shape = parameter.real_shape
            param, grad = (LAYOUTS[layout](torch.zeros(shape)) for layout in layouts)
            if fused_kernels_misread(param, grad):
                return "contiguous", "contiguous"
        return layouts

    def reals(self, i: int, tensor: torch.Tensor) -> torch.Tensor:
        """A vector of real numbers."""
        real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        return real.detach().reshape(-1)

    def group(self, g: int, moment: Moment) -> dict[str, Any]:
        options = dict(moment.options[g])
        if self.takes_lr_as_tensor:
            options["lr"] = torch.tensor(options["lr"], dtype=torch.float64)
        members = [p for p, of in zip(self.params, self.history.group_of, strict=True) if of == g]
        return {"params": members, **options}

    @property
    def takes_lr_as_tensor(self) -> bool:
        """Adam's foreach path refuses it."""
        refused = self.component != "sgd" and self.path in {"for-loop", "foreach"}
        return self.history.lr_as_tensor and not refused

    # The events

    def live(self, event: Event, moment: Moment) -> None:
        match event:
            case Step():
                self.step(event, moment)
            case Change(g, option, value):
                if g < len(self.opt.param_groups):
                    as_tensor = option == "lr" and self.takes_lr_as_tensor
                    value = torch.tensor(value, dtype=torch.float64) if as_tensor else value
                    self.opt.param_groups[g][option] = value
            case Schedule():
                with warnings.catch_warnings():  # that no step came before it
                    warnings.simplefilter("ignore", UserWarning)
                    torch.optim.lr_scheduler.ExponentialLR(self.opt, gamma=0.5).step()
            case AddGroup():
                self.opt.add_param_group(self.group(len(self.opt.param_groups), moment))
            case Reload(swap):
                self.reload(swap and self.path in {"for-loop", "foreach"})
            case Copy():
                old = [param for group in self.opt.param_groups for param in group["params"]]
                self.kept += [(param, param.detach().clone()) for param in old]
                self.opt = copy.deepcopy(self.opt)
                new = [param for group in self.opt.param_groups for param in group["params"]]
                self.params[: len(new)] = new
                self.addresses = [param.data_ptr() for param in self.params]
                self.hooked = False
            case Hooks():
                if not self.hooked:
                    self.opt.register_step_pre_hook(lambda *_: self.count("pre"))
                    self.opt.register_step_post_hook(lambda *_: self.count("post"))
                self.hooked = True
        self.check_structure(moment)

    def count(self, call: str) -> None:
        self.calls[call] += 1

    def reload(self, swap: bool) -> None:
        file = io.BytesIO()
        torch.save(self.opt.state_dict(), file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        groups = [{"params": group["params"]} for group in self.opt.param_groups]
        if swap:
            self.flags["foreach"] = not self.flags["foreach"]
            for group in saved["param_groups"]:
                group["foreach"] = self.flags["foreach"]
        self.opt = self.optimizer(groups, lr=123.0, **self.flags)
        self.opt.load_state_dict(saved)
        self.hooked = False

    def step(self, event: Step, moment: Moment) -> None:
        numbers = {
            dtype: torch.from_numpy(self.history.grads(event, dtype)) for dtype in set(self.dtypes)
        }
        grads = [
            None if i in event.missing else self.laid_out(i, numbers, 1)
            for i in range(len(self.params))
        ]

        def backward() -> torch.Tensor:
            self.accumulate(event, moment, grads)
            return loss

        loss = torch.tensor(0.25, device=self.device)
        if event.closure:
            if self.opt.step(backward) is not loss:  # type: ignore[arg-type, comparison-overlap]
                self.wrong(0, "loss", "is not what the closure returned")
        else:
            backward()
            self.opt.step()
        self.calls["expected"] += self.hooked
        given = self.given
        for i, (param, grad) in enumerate(zip(self.params, given, strict=True)):
            now = param.grad
            if now is None or grad is None:
                untouched = now is grad
            else:
                untouched = torch.equal(now.nan_to_num(7), grad.nan_to_num(7))
            if not (untouched or foreach_nesterov_overwrites(self, moment, i)):
                self.wrong(i, "gradient", f"was changed by step(): {grad} became {now}")
            if now is not None:  # nothing in the state may follow it from now on
                param.grad = now.contiguous() if is_expanded(now) else now
                param.grad.fill_(math.nan)

    def accumulate(self, event: Step, moment: Moment, grads: list[torch.Tensor | None]) -> None:
        self.opt.zero_grad(set_to_none=event.zero_grad == "to None")
        for i, (param, grad) in enumerate(zip(self.params, grads, strict=True)):
            param.requires_grad_(grad is not None and not self.flags.get("differentiable", False))
            if grad is None:
                param.grad = None
            elif event.zero_grad == "to zeros" and param.grad is not None:
                param.grad += grad
            else:
                param.grad = grad
            if event.twice and grad is not None:
                param.grad = grad + grad
            clipped = event.clip is not None and not self.history.parameters[i].is_complex
            written = clipped or foreach_nesterov_overwrites(self, moment, i)
            if param.grad is not None and is_expanded(param.grad) and written:
                param.grad = param.grad.contiguous()
            if param.grad is not None and clipped:
                torch.nn.utils.clip_grad_value_([param], event.clip or 0)
        self.given = [None if p.grad is None else p.grad.clone() for p in self.params]

    # What holds after every event

    def check_structure(self, moment: Moment) -> None:
        for i, param in enumerate(self.params):
            if param.data_ptr() != self.addresses[i]:
                self.wrong(i, "param", "lies elsewhere than before")
            state = self.opt.state.get(param, {})
            alive = moment.steps[i] > 0 and (self.component != "sgd" or moment.buffers[i])
            if not alive and any(value is not None for value in state.values()):
                self.wrong(i, "state", f"is {state} without a gradient so far")
            if "step" in state and float(state["step"]) != moment.steps[i]:
                self.wrong(i, "step", f"is {float(state['step'])} after {moment.steps[i]} steps")
            for name in BUFFERS:
                buffer = state.get(name)
                if buffer is not None and (buffer.shape, buffer.dtype) != (
                    param.shape,
                    param.dtype,
                ):
                    self.wrong(i, name, f"is {buffer.dtype} in shape {tuple(buffer.shape)}")
        for group, options in zip(self.opt.param_groups, moment.options, strict=False):
            for name, value in options.items():
                now = group[name].item() if isinstance(group[name], torch.Tensor) else group[name]
                if now != value:
                    self.wrong(0, name, f"is {group[name]}, expected {value}")
        if not self.calls["pre"] == self.calls["post"] == self.calls["expected"]:
            self.wrong(0, "hooks", f"were called {self.calls}")

    def check_surroundings(self) -> None:
        """What lies around the parameters in memory is NaN still; what was left behind, as was."""
        for i, param in enumerate(self.params):
            memory = torch.empty(0, dtype=param.dtype, device=param.device)
            memory.set_(param.untyped_storage())
            if memory.numel() == param.numel():
                continue
            inside = torch.zeros(memory.numel(), dtype=torch.bool, device=param.device)
            inside.as_strided(param.shape, param.stride(), param.storage_offset()).fill_(True)
            if not memory[~inside].isnan().all():
                self.wrong(i, "surroundings", "of the parameter in memory were written to")
        for left, before in self.kept:
            if not torch.equal(left.nan_to_num(7), before.nan_to_num(7)):
                self.wrong(0, "original", "was changed by steps of its deep copy")

    def wrong(self, i: int, output: str, what: str) -> None:
        deviates(self.component, output, self.targets[i], what)


def is_expanded(tensor: torch.Tensor) -> bool:
    return any(s == 0 and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True))
