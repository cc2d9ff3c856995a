"""The ways into torch: how a function is called for its value and its derivatives.

A training loop reaches the same kernels through a function, through a module, or through a
transform of `torch.func`. Each of these doors is a path of the matrix (`Target.path`).
"""

import warnings
from collections.abc import Callable, Collection

import torch
from torch.autograd import forward_ad

from tests.harness.targets import Target
from tests.harness.verdict import Deviation

Tensors = dict[str, torch.Tensor]
Gradients = dict[str, torch.Tensor | None]
Function = Callable[..., torch.Tensor]
MakeModule = Callable[[], torch.nn.Module]

DOORS = ("functional", "module", "vjp")
SECOND_DOORS = ("jvp", "forward_ad", "double backward")


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
        target: its path is one of `DOORS`.
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
    if target.path == "vjp":
        return pulled_back(function, inputs, grad_output, wanted)
    leaves = {n: x.detach().requires_grad_(n in wanted) for n, x in inputs.items()}
    if target.path == "module":
        assert module is not None, "the door 'module' needs a module"
        output = called_as_module(module, leaves)
    else:
        output = function(*leaves.values())
    if wanted:
        output.backward(grad_output)
    elif output.requires_grad:
        raise Deviation(f"the output on {target} requires a gradient that nobody asked for")
    for name in leaves.keys() - wanted:
        if leaves[name].grad is not None:
            raise Deviation(f"{name} on {target} got a gradient that nobody asked for")
    return output, {name: leaves[name].grad for name in wanted}


def called_as_module(make: MakeModule, leaves: Tensors) -> torch.Tensor:
    """The output of a module on the leaves, of which some become its parameters."""
    with warnings.catch_warnings():  # what is initialised here is replaced at once
        warnings.filterwarnings("ignore", "Initializing zero-element tensors is a no-op")
        module = make()
    parameters = {
        name: torch.nn.Parameter(leaves[name], leaves[name].requires_grad)
        for name, _ in module.named_parameters()
    }
    for name, parameter in parameters.items():
        module.register_parameter(name, parameter)
    leaves |= parameters
    return module(*(x for name, x in leaves.items() if name not in parameters))


def pulled_back(
    function: Function, inputs: Tensors, grad_output: torch.Tensor, wanted: list[str]
) -> tuple[torch.Tensor, Gradients]:
    """The output, and the vector-Jacobian product with the gradient that comes back."""
    if not wanted:
        return function(*inputs.values()), {}

    def of_wanted(*primals: torch.Tensor) -> torch.Tensor:
        return function(*(inputs | dict(zip(wanted, primals, strict=True))).values())

    # No third result: that is for functions with auxiliary ones.
    output, pull_back, *_ = torch.func.vjp(of_wanted, *(inputs[name] for name in wanted))
    return output, dict(zip(wanted, pull_back(grad_output), strict=True))


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
