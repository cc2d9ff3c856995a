"""What is given to torch is written down as Python that gives the same again, or not at all."""

from typing import Any

import pytest
import torch

from tests.harness.reproducer.literals import Leaf
from tests.harness.reproducer.spelling import expression
from tests.harness.reproducer.statements import source
from tests.harness.reproducer.tape import ComputedError, Tape, UnspeakableError

NAMES = {"torch": torch, "inf": torch.inf, "nan": torch.nan}


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -3, 0.1, "mean", 1 - 2j, ..., torch.float32, torch.channels_last),
        *(slice(None), slice(1, None, 2), (), (1,), [1, [2.0]], {"lr": (0.1, None)}),
        *(set(), {1, 2}, torch.nn.Linear, torch.optim.SGD, torch.Tensor),
    ],
    ids=repr,
)
def test_a_value_is_spelled_so_that_it_is_itself_again(tape: Tape, value: Any) -> None:
    assert eval(tape.spell(value), NAMES) == value
    assert not tape.leaves


def test_a_device_is_spelled_by_its_name(tape: Tape) -> None:
    assert tape.spell(torch.device("cuda:1")) == "'cuda:1'"


def spent() -> torch.Generator:
    generator = torch.Generator().manual_seed(1)
    torch.rand(1, generator=generator)
    return generator


class Unknown:
    """No class of torch."""


UNSPEAKABLE = {
    "object": object(),
    "class": Unknown,
    "function": lambda: 1,
    "generator on its way": spent(),
    "within": {"inside": [object()]},
    "sparse": torch.eye(2).to_sparse(),
    "without memory": torch.ones(1, device="meta"),
}


@pytest.mark.parametrize("what", UNSPEAKABLE)
def test_what_cannot_be_spelled_is_refused(tape: Tape, what: str) -> None:
    with pytest.raises(UnspeakableError):
        tape.spell(UNSPEAKABLE[what])
    assert not tape.leaves


def test_a_tensor_within_a_transform_is_refused(tape: Tape) -> None:
    def within(x: torch.Tensor) -> torch.Tensor:
        with pytest.raises(UnspeakableError, match="a tensor without memory"):
            tape.spell(x)
        return x

    torch.func.vmap(within)(torch.ones(2, 1))
    assert not tape.leaves


def test_a_generator_that_is_new_is_seeded_once(tape: Tape) -> None:
    generator = torch.Generator().manual_seed(5)
    assert [tape.spell(generator), tape.spell(generator)] == ["generator", "generator"]
    assert list(source(tape.body, lambda statement: True)) == [
        "generator = torch.Generator().manual_seed(5)"
    ]


def test_a_tensor_is_found_in_the_module_and_the_optimizer_that_have_it(tape: Tape) -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1))
    opt = torch.optim.Adam([p := torch.ones(1, requires_grad=True)])
    p.sum().backward()
    opt.step()
    tape.call(module[1], "linear")
    tape.call(module, "net")
    tape.call(opt, "opt")
    expected = {
        "linear.weight": module[1].weight,  # by the first that is known
        "net.get_submodule('0').running_var": module[0].running_var,
        "opt.param_groups[0]['params'][0]": p,
        "opt.state[opt.param_groups[0]['params'][0]]['exp_avg']": opt.state[p]["exp_avg"],
    }
    names = {"linear": module[1], "net": module, "opt": opt}
    for text, tensor in expected.items():
        assert tape.spell(tensor) == text
        assert eval(text, names) is tensor
    assert tape.located(torch.ones(1)) is None


@pytest.mark.parametrize(
    ("name", "others", "text"),
    [
        ("__neg__", (), "-x"),
        ("__sub__", (2.0,), "x - 2.0"),
        ("__rsub__", (2.0,), "2.0 - x"),
        ("__pow__", (-1,), "x ** (-1)"),
        ("__imul__", (3,), "x *= 3"),
        ("__ge__", (0,), "x >= 0"),
        ("__getitem__", (0,), "x[0]"),
        ("__getitem__", ((slice(1, None), None, slice(None, None, 2)),), "x[1:, None, ::2]"),
        ("__getitem__", ((...,),), "x[...]"),
        ("__getitem__", ((),), "x[()]"),
        ("__setitem__", (slice(2), 7.0), "x[:2] = 7.0"),
        ("grad.__get__", (), "x.grad"),
        ("requires_grad.__set__", (True,), "x.requires_grad = True"),
        ("__setattr__", ("training", False), "x.training = False"),
        ("__call__", (1,), "x(1)"),
        ("sum", (0,), "x.sum(0)"),
    ],
)
def test_a_call_is_written_as_people_write_it(
    tape: Tape, name: str, others: tuple[Any, ...], text: str
) -> None:
    x = torch.ones(3, 4)
    tape.leaves.append(Leaf.of("x", x))
    tape.call(x, "x")
    assert expression(tape, f".{name}", (x, *others), {}, []) == text
    assert expression(tape, "F.f", (x,), {"keepdim": True}, []) == "F.f(x, keepdim=True)"


@pytest.mark.parametrize(("name", "others"), [("__lshift__", (1,)), ("__abs__", ())])
def test_an_operator_that_is_not_known_is_refused(
    tape: Tape, name: str, others: tuple[Any, ...]
) -> None:
    with pytest.raises(UnspeakableError):
        expression(tape, f".{name}", (torch.ones(1), *others), {}, [])


def test_a_state_that_two_parameters_share_is_not_spelled(tape: Tape) -> None:
    """A sound torch has two tensors there."""
    params = [torch.ones(1, requires_grad=True) for _ in range(2)]
    opt, buffer = torch.optim.SGD(params, lr=0.1, momentum=0.9), torch.ones(1)
    for param in params:
        opt.state[param]["momentum_buffer"] = buffer
    tape.call(opt, "opt")
    with pytest.raises(UnspeakableError, match="in two places"):
        tape.spell(buffer)
    opt.state[params[1]]["momentum_buffer"] = torch.ones(1)
    spelled = tape.spell(buffer)
    assert eval(spelled, {"opt": opt}) is buffer
    with pytest.raises(UnspeakableError, match="what torch has computed"):
        tape.spell(buffer.detach())


def test_a_number_that_torch_has_computed_is_not_written_down() -> None:
    tape, number = Tape(), float("1.5")
    assert tape.plain([number]) == "[1.5]"
    tape.values.keep(number).computed = True
    with pytest.raises(ComputedError, match="a number"):
        tape.plain([number])
