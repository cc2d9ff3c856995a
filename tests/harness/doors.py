"""The ways into torch: how a function is called for its value and its derivatives.

A training loop reaches the same kernels through a function, through a module, or through a
transform of `torch.func`; and a module may have been saved and loaded, exported, or compiled. Each
of these doors is a path of the matrix (`Target.path`).
"""

import io
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple, TypeVar

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

from tests.harness.profiles import EXAMPLES
from tests.harness.record import note
from tests.harness.targets import Target, Targets
from tests.harness.verdict import Deviation

Tensors = dict[str, torch.Tensor]
Gradients = dict[str, torch.Tensor | None]
Function = Callable[..., torch.Tensor]
MakeModule = Callable[[], torch.nn.Module]
Test = TypeVar("Test", bound=Callable[..., None])

DOORS = ("functional", "module", "vjp")
SECOND_DOORS = ("jvp", "forward_ad", "double backward")
SIDE_DOORS = ("functional_call", "saved", "vmap", "compiled", "exported")
OF_MODULES = ("module", "functional_call", "saved", "exported")
AUTOCAST = {"autocast bfloat16": torch.bfloat16, "autocast float16": torch.float16}
"""Doors for what autocast is to leave as it is; for what it casts: `tests/mixed_precision`."""


class SideDoor(NamedTuple):
    """One more door for an example, taken in one of the run's dtypes."""

    path: str
    turn: int  # which dtype


def examples() -> int:
    """How many the profile asks for, of which a property may take more or fewer."""
    return settings.get_profile(settings.get_current_profile_name()).max_examples


def is_quick() -> bool:
    return examples() <= EXAMPLES["quick"]


def compiles(test: Test) -> Test:
    """Decorate a test of what is compiled, which takes too long for the profile `quick`."""
    return pytest.mark.skipif(is_quick(), reason="the profile quick compiles nothing")(test)


def open_side_doors() -> st.SearchStrategy[SideDoor]:
    if is_quick():
        note("torch.compile and torch.export: not in the profile quick")
    paths = SIDE_DOORS[:3] * 5 + (() if is_quick() else SIDE_DOORS[3:])
    return st.builds(SideDoor, st.sampled_from(paths), st.integers(0, 3))


side_doors = st.deferred(open_side_doors)
"""Compiling takes as long as a hundred examples, so one in 17 is compiled, and one exported."""


def through(
    targets: Targets, side: SideDoor, modules: bool = True
) -> Iterator[tuple[str, list[Target]]]:
    """The targets of each dtype together: all of `DOORS`, and the side door where it is its turn.

    Without `modules`, where no module computes the function, only the doors that need none.
    """
    for number, (dtype, all_paths) in enumerate(targets.by_dtype(*DOORS, side.path)):
        its_turn = number == side.turn % len(targets.dtypes)
        open_doors = [d for d in (*DOORS, *its_turn * side[:1]) if modules or d not in OF_MODULES]
        yield dtype, [target for target in all_paths if target.path in open_doors]


def gradients(
    target: Target,
    function: Function,
    inputs: Tensors,
    grad_output: torch.Tensor,
    module: MakeModule | None = None,
    frozen: Collection[str] = (),
) -> tuple[torch.Tensor, Gradients]:
    """Call a function through the door that is the target's path, and ask for its gradients.

    Args:
        target: its path is one of `DOORS`, `SIDE_DOORS` or `AUTOCAST`.
        function: takes the inputs by position, in their order.
        inputs: by name. Integers, such as class labels, have no gradient.
        grad_output: the gradient that comes back to the output.
        module: makes the module that computes the same. The inputs that have the names of its
            parameters take their places, memory layout and all; it is called with the others.
        frozen: the names of inputs that ask for no gradient, and must get none.

    Returns:
        The output, and by name the gradients of the inputs that asked for one.
    """
    wanted = [n for n, x in inputs.items() if x.is_floating_point() and n not in frozen]
    if target.path in {"vjp", "vmap"}:
        ask = pulled_back if target.path == "vjp" else of_a_batch
        output, grads = ask(function, inputs, grad_output, wanted)
        return output, dict(grads)
    leaves = {n: x.detach().requires_grad_(n in wanted) for n, x in inputs.items()}
    given = {**inputs, "grad_output": grad_output} if target.path == "functional" else {}
    before = {name: x.clone() for name, x in given.items()}
    if target.path in OF_MODULES:
        assert module is not None, f"the door {target.path!r} needs a module"
        output = called_as_module(target.path, module, leaves)
    elif target.path == "compiled":
        output = compiled(function)(*leaves.values())
    elif target.path in AUTOCAST:  # the backward pass comes after the region
        with torch.autocast(target.device_type, AUTOCAST[target.path]):
            output = function(*leaves.values())
    else:
        output = function(*leaves.values())
    if wanted:
        output.backward(grad_output)
    elif output.requires_grad:
        text = f"the output on {target} requires a gradient that nobody asked for"
        raise Deviation(text, output, right="not got.requires_grad")
    for name in leaves.keys() - wanted:
        if leaves[name].grad is not None:
            text = f"{name} on {target} got a gradient that nobody asked for"
            raise Deviation(text, leaves[name], right="got.grad is None")
    for name, x in given.items() if target.device != "meta" else ():  # which has nothing to write
        if not torch.equal(x, before[name]) and not torch.equal(*map(numbered, (x, before[name]))):
            same = "torch.equal(got[0].nan_to_num(7), got[1].nan_to_num(7))"
            raise Deviation(f"{name} on {target} was written to", (x, before[name]), right=same)
    return output, {name: leaves[name].grad for name in wanted}


def numbered(x: torch.Tensor) -> torch.Tensor:
    """With a number in place of NaN, which is not equal to itself."""
    return x.nan_to_num(7.0, torch.inf, -torch.inf)


def called_as_module(path: str, make: MakeModule, leaves: Tensors) -> torch.Tensor:
    """The output of a module on the leaves, of which some become its parameters."""
    with warnings.catch_warnings():  # what is initialised here is replaced at once
        warnings.filterwarnings("ignore", "Initializing zero-element tensors is a no-op")
        module = make()
    names = [name for name, _ in module.named_parameters()]
    args = tuple(x for name, x in leaves.items() if name not in names)
    given = {name: leaves[name] for name in names}
    if path == "functional_call":
        return torch.func.functional_call(module, given, args)
    for name, x in given.items():
        module.register_parameter(name, torch.nn.Parameter(x, x.requires_grad))
    called = module
    if path == "saved":
        called = saved_and_loaded(module)
    elif path == "exported":
        called = torch.export.export(module, args).module()
    leaves |= called.named_parameters()
    output = called(*args)
    if path == "saved":
        for buffer, after in zip(module.buffers(), called.buffers(), strict=True):
            if not (
                buffer.is_meta or torch.equal(buffer, after)
            ):  # the caller looks for what changed in its own
                buffer.copy_(after)
    return output


def saved_and_loaded(module: torch.nn.Module) -> torch.nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    loaded: torch.nn.Module = torch.load(file, weights_only=False)
    return loaded


def compiled(function: Function) -> Function:
    """As one graph, compiled afresh: from eight shapes on torch would no longer compile.

    Code that is kept for any sizes (`dynamic=True`) would hardly serve again: of 184 compiled cases
    of linear, 162 differ from all others in dtype, dimensions, sides of 0 or 1, layouts or what is
    frozen, and of 338 of cross-entropy 328. And what fails would depend on what came before.
    """
    torch.compiler.reset()
    return torch.compile(function, backend=backend(), fullgraph=True, dynamic=False)


def backend() -> str:
    """Code is generated in the profile `thorough`, where there is a compiler for it."""
    thorough = examples() >= EXAMPLES["thorough"] // 10
    if thorough and any(map(shutil.which, ("c++", "g++", "clang++"))):
        return "inductor"
    note("what torch.compile generates: it traced (aot_eager), and torch's own kernels ran")
    return "aot_eager"


def pulled_back(
    function: Function, inputs: Tensors, grad_output: torch.Tensor, wanted: list[str]
) -> tuple[torch.Tensor, Tensors]:
    """The output, and the vector-Jacobian product with the gradient that comes back."""
    if not wanted:
        return function(*inputs.values()), {}

    def of_wanted(*primals: torch.Tensor) -> torch.Tensor:
        return function(*(inputs | dict(zip(wanted, primals, strict=True))).values())

    # No third result: that is for functions with auxiliary ones.
    output, pull_back, *_ = torch.func.vjp(of_wanted, *(inputs[name] for name in wanted))
    return output, dict(zip(wanted, pull_back(grad_output), strict=True))


def of_a_batch(
    function: Function, inputs: Tensors, grad_output: torch.Tensor, wanted: list[str]
) -> tuple[torch.Tensor, Tensors]:
    """One case of a batch of three; the others are NaN, which would show wherever they got in.

    What asks for no gradient is shared by the batch, unless nothing asks for one.
    """
    own = wanted or [name for name, x in inputs.items() if x.is_floating_point()]
    shared = {name: x.contiguous() for name, x in inputs.items()}

    def one(back: torch.Tensor, *of_case: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        case = shared | dict(zip(own, of_case, strict=True))
        return pulled_back(function, case, back, wanted)

    def among_others(x: torch.Tensor) -> torch.Tensor:
        other = torch.full_like(x, torch.nan)
        return torch.stack((other, x, other))

    batch = map(among_others, (grad_output, *(inputs[name] for name in own)))
    outputs, grads = torch.func.vmap(one, randomness="same")(*batch)
    return outputs[1], {name: of_all[1] for name, of_all in grads.items()}


def movements(
    target: Target,
    function: Function,
    inputs: Tensors,
    directions: Tensors,
    grad_output: torch.Tensor,
) -> Gradients:
    """How the output moves when the inputs move, or how their gradients do.

    Args:
        target: its path is one of `SECOND_DOORS`.
        function: takes the inputs by position, in their order.
        inputs: by name.
        directions: by the names of the inputs that move.
        grad_output: the gradient that comes back to the output.

    Returns:
        "tangent" in forward mode; after the double backward "second grad_output" and a
        "second grad_..." of each input that moves: the gradients of sum(directions * gradients).
    """
    if target.path == "double backward":
        return second_gradients(function, inputs, directions, grad_output)

    def of_moving(*moving: torch.Tensor) -> torch.Tensor:
        return function(*(inputs | dict(zip(directions, moving, strict=True))).values())

    still = tuple(inputs[name] for name in directions)
    if target.path == "jvp":
        return {"tangent": torch.func.jvp(of_moving, still, tuple(directions.values()))[1]}
    with forward_ad.dual_level():
        duals = map(forward_ad.make_dual, still, directions.values())
        return {"tangent": forward_ad.unpack_dual(of_moving(*duals)).tangent}


def second_gradients(
    function: Function, inputs: Tensors, directions: Tensors, grad_output: torch.Tensor
) -> Gradients:
    leaves = {n: x.detach().requires_grad_(n in directions) for n, x in inputs.items()}
    moving = {name: leaves[name] for name in directions}
    moving["output"] = grad_output.detach().requires_grad_()
    *first, back = moving.values()
    grads = torch.autograd.grad(function(*leaves.values()), first, back, create_graph=True)
    second = torch.autograd.grad(
        grads, list(moving.values()), list(directions.values()), materialize_grads=True
    )
    return {f"second grad_{name}": g for name, g in zip(moving, second, strict=True)}
