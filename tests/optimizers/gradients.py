"""Gradients, accumulated and clipped, as they come before a step; which leaves them alone."""

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from tests.harness.reproducer.pause import literal
from tests.optimizers.events import Step
from tests.optimizers.known_faults import foreach_nesterov_overwrites
from tests.optimizers.moments import Moment

if TYPE_CHECKING:
    from tests.optimizers.life import Life

Given = list[torch.Tensor | None]


def accumulate(life: "Life", event: Step, moment: Moment) -> Given:
    """zero_grad, then gradients; those that the step will see."""
    life.opt.zero_grad(set_to_none=event.zero_grad == "to None")
    dtypes = {member.target.dtype for member in life.members}
    numbers = {dtype: torch.from_numpy(life.history.grads(event, dtype)) for dtype in dtypes}
    for param, member in zip(life.params, life.members, strict=True):
        missing = member.i in event.missing
        if param.requires_grad == (missing or life.differentiable):
            param.requires_grad_(not param.requires_grad)
        if missing:
            param.grad = None
            continue
        grad = member.tensor(numbers[member.target.dtype], member.grad_layout)
        joined = life.history.group_of[member.i] < moment.joined  # only then are there zeros
        if event.zero_grad == "to zeros" and param.grad is not None and joined:
            param.grad += grad
        else:
            param.grad = grad
        if event.twice:
            param.grad = grad + grad
        clipped = event.clip is not None and not life.history.parameters[member.i].is_complex
        overwritten = foreach_nesterov_overwrites(life, moment, member.i)
        if is_expanded(param.grad) and (clipped or event.max_norm or overwritten):
            param.grad = param.grad.contiguous()
        if clipped:
            clip_grad_value_([param], event.clip or 0)
    if event.max_norm:
        for dtype in {member.began for member in life.members}:
            params = zip(life.params, life.members, strict=True)
            clip_grad_norm_([p for p, m in params if m.began == dtype], event.max_norm)
    return [None if p.grad is None else p.grad.clone() for p in life.params]


def check_untouched(life: "Life", given: Given, moment: Moment) -> None:
    """The gradients are as they were given. Then they are filled with NaN: no state may follow."""
    if life.device == "meta":  # which has nothing to change
        return
    for k, (param, grad) in enumerate(zip(life.params, given, strict=True)):
        now = param.grad
        if not (
            unchanged(now, grad) or foreach_nesterov_overwrites(life, moment, life.members[k].i)
        ):
            what = "was changed by step()"
            same = "torch.equal(got[0].grad.nan_to_num(7), got[1].nan_to_num(7))"
            life.wrong(k, "gradient", what, (param, grad), same)
        if now is not None:
            if is_expanded(now):
                param.grad = now = now.contiguous()
            now.fill_(math.nan)


@literal
def unchanged(now: torch.Tensor | None, grad: torch.Tensor | None) -> bool:
    if now is None or grad is None:
        return now is grad
    return torch.equal(now, grad) or torch.equal(now.nan_to_num(7), grad.nan_to_num(7))


def is_expanded(tensor: torch.Tensor) -> bool:
    return any(s == 0 and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True))
