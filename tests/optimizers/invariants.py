"""What holds after every event: identity, dtype, shape and place of all that an optimizer keeps."""

import torch

from tests.harness.strategies.layouts import everything
from tests.optimizers.life import Life
from tests.optimizers.moments import Moment

BUFFERS = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")


def check_structure(life: Life, moment: Moment) -> None:
    """Parameters lie where they lay; state is there for those that have stepped, and fits them."""
    for k, (param, member) in enumerate(zip(life.params, life.members, strict=True)):
        i = member.i
        if param.data_ptr() != life.addresses[k]:
            life.wrong(k, "param", "lies elsewhere than before")
        state = life.opt.state.get(param, {})
        alive = moment.steps[i] > 0 and (life.component != "sgd" or moment.buffers[i])
        if not alive and any(value is not None for value in state.values()):
            right = "all(x is None for x in got[0].state.get(got[1], {}).values())"
            what = f"is {state} without a gradient so far"
            life.wrong(k, "state", what, (life.opt, param), right)
        step = state.get("step")
        if step is not None and not step.is_meta and float(step) != moment.steps[i]:
            what, right = f"is {float(step)} after {moment.steps[i]} steps", "got[0].state[got[1]]"
            right = f"{right}['step'].item() == {moment.steps[i]}"
            life.wrong(k, "step", what, (life.opt, param), right)
        for name in BUFFERS:
            buffer = state.get(name)
            if buffer is not None and (buffer.shape, buffer.dtype, buffer.device) != (
                param.shape,
                param.dtype,
                param.device,
            ):
                what = f"is {buffer.dtype} in shape {tuple(buffer.shape)}"
                right = "got[0].shape == got[1].shape and got[0].dtype == got[1].dtype"
                life.wrong(k, name, what, (buffer, param), right)
    groups = zip(life.opt.param_groups, moment.options, strict=False)
    for g, (group, options) in enumerate(groups):
        for name, value in options.items():
            now = group[name].item() if isinstance(group[name], torch.Tensor) else group[name]
            if now != value:
                right = f"got.param_groups[{g}][{name!r}] == {value!r}"
                what = f"is {group[name]}, expected {value}"
                life.wrong(0, name, what, life.opt, right)
    called = life.called["pre"], life.called["post"]
    if any(count.item() != life.expected_calls for count in called):
        expected = life.expected_calls
        what = f"were called {called[0]:.0f} and {called[1]:.0f} times, expected {expected}"
        right = f"got[0].item() == got[1].item() == {expected}"
        life.wrong(0, "hooks", what, called, right)


def check_surroundings(life: Life) -> None:
    """What lies around the parameters in memory is NaN still; what was left behind, as was."""
    if life.device == "meta":  # which has no memory
        return
    for k, param in enumerate(life.params):
        memory = everything(param.detach())
        if memory.numel() == param.numel():
            continue
        inside = torch.zeros(memory.numel(), dtype=torch.bool, device=param.device)
        inside.as_strided(param.shape, param.stride(), param.storage_offset()).fill_(True)
        outside = memory[~inside]
        if not outside.isnan().all():
            what = "of the parameter in memory were written to"
            life.wrong(k, "surroundings", what, outside, "got.isnan().all()")
    for left, before in life.kept:
        if not torch.equal(left.detach().nan_to_num(7), before.nan_to_num(7)):
            what = "was changed by steps of what replaced it"
            same = "torch.equal(got[0].nan_to_num(7), got[1].nan_to_num(7))"
            life.wrong(0, "original", what, (left, before), same)
