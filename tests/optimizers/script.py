"""A history as the few lines of torch code that live through it."""

from typing import Any

import numpy as np

from tests.optimizers.events import AddGroup, Change, Copy, Hooks, Reload, Schedule, Step
from tests.optimizers.history import History
from tests.optimizers.paths import PATHS

CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}

LINES: dict[type, str] = {
    Schedule: "torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5).step()",
    Reload: """torch.save(opt.state_dict(), file := io.BytesIO()); file.seek(0)
opt = type(opt)(opt.param_groups)
opt.load_state_dict(torch.load(file, weights_only=True))""",
    Copy: "opt = copy.deepcopy(opt)  # and on with its parameters",
    Hooks: "opt.register_step_post_hook(print)",
}


def script(component: str, history: History, path: str, dtypes: list[str]) -> str:
    """What to paste into a Python prompt."""
    members = [(i, dtype) for i in range(len(history.parameters)) for dtype in dtypes]

    def tensor(i: int, dtype: str, numbers: np.ndarray, layout: str) -> str:
        where, shape = history.pieces[i]
        piece = numbers[where]
        values = str(piece.reshape(shape).tolist())
        if piece.size > 16:
            values = f"{piece[:3].tolist()} + {piece.size - 3} * [...]"
        return laid_out(f"torch.tensor({values}, dtype=torch.{dtype})", layout, shape)

    def group(g: int, options: dict[str, Any]) -> str:
        names = [f"p{k}" for k, (i, _) in enumerate(members) if history.group_of[i] == g]
        given = ", ".join(f"{name!r}: {value!r}" for name, value in options.items())
        return f"{{'params': [{', '.join(names)}], {given}}}"

    flags = ", ".join(f"{name}=True" for name, on in PATHS[path].flags.items() if on)
    flags = flags or "foreach=False"
    lines = [f"# {component}, {path}", "import copy, io, torch", "nan = float('nan')"]
    for k, (i, dtype) in enumerate(members):
        parameter = history.parameters[i]
        start = tensor(i, dtype, history.starts(dtype), parameter.layout)
        lines.append(f"p{k} = {start}.requires_grad_({path != 'differentiable'})")
        if parameter.is_complex:
            lines[-1] += "  # as complex numbers, on paths that take them"
    groups = [group(g, options) for g, (_, options) in enumerate(history.groups)]
    joined = groups[: len(groups) - history.joins_late]
    lines.append(f"opt = torch.optim.{CLASSES[component]}([{', '.join(joined)}], {flags})")
    if history.lr_as_tensor:
        lines[-1] += "  # each lr a 0-d float64 tensor, on paths that take it"
    for event in history.events:
        match event:
            case Step():
                if event.zero_grad == "to zeros":
                    lines.append("opt.zero_grad(set_to_none=False)  # and the gradients added")
                for k, (i, dtype) in enumerate(members):
                    numbers = history.accumulated(event, dtype)
                    grad = tensor(i, dtype, numbers, history.parameters[i].grad_layout)
                    lines.append(f"p{k}.grad = {'None' if i in event.missing else grad}")
                if event.max_norm:
                    lines.append(
                        f"torch.nn.utils.clip_grad_norm_(all of a dtype, {event.max_norm})"
                    )
                lines.append("opt.step()")
            case Change(g, option, value):
                lines.append(f"opt.param_groups[{g}][{option!r}] = {value!r}")
            case AddGroup():
                lines.append(f"opt.add_param_group({groups[-1]})")
            case Reload(swap, recast) if swap or recast:
                lines += [LINES[Reload], "# on another path or in another dtype: see route.py"]
            case _:
                lines.append(LINES[type(event)])
    return "\n".join(lines)


def laid_out(tensor: str, layout: str, shape: tuple[int, ...]) -> str:
    """An expression for the same numbers, lying as `tests.harness.strategies.layouts` has them."""
    dims = len(shape)
    backwards = f".permute({tuple(reversed(range(dims)))})"
    match layout:
        case "transposed" if dims > 1:
            return f"{tensor}{backwards}.contiguous(){backwards}"
        case "strided":
            return f"torch.stack(2 * [{tensor}], -1)[..., 1]"
        case "padded" if dims:
            inside = ", ".join(dims * ["1:-1"])
            return f"torch.nn.functional.pad({tensor}, {2 * dims * (1,)}, value=nan)[{inside}]"
        case "expanded" if dims:
            return f"{tensor}[:1].expand({shape})"
        case "channels_last" | "channels_last_3d":
            return f"{tensor}.contiguous(memory_format=torch.{layout})"
    return tensor
