"""What is heard of a test beside its calls: files, seeds, hooks, what it held before it began."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.harness.reproducer.entrances import replace_held
from tests.harness.reproducer.literals import numbers
from tests.harness.reproducer.pause import literal
from tests.harness.reproducer.replay import script_of
from tests.harness.reproducer.script import Script
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.verdict import check


def holds(actual: torch.Tensor | None, expected: Any) -> None:
    target = Target("cpu", "float32", "functional")
    check("component", "output", target, actual, Rounding.kernel("float32").array(expected))


def lines(test: Callable[[], Any], owner: Any = torch.Tensor, name: str = "square") -> list[str]:
    """Of the script of a test, where a function of torch gives twice what it should."""
    with pytest.MonkeyPatch.context() as patch:
        sound = getattr(owner, name)
        patch.setattr(owner, name, lambda *args, **kwargs: 2 * sound(*args, **kwargs))
        script = script_of(test)
        assert isinstance(script, Script), script
    return script.lines()


def parameter(*numbers: float) -> torch.Tensor:
    return literal(lambda: torch.tensor(numbers, requires_grad=True))()


def test_what_an_iterator_gives_is_written_down() -> None:
    def test() -> None:
        p = parameter(1.0)
        opt = torch.optim.SGD(iter([p]), lr=1.0)
        p.square().backward(literal(torch.ones)(1))
        opt.step()
        holds(p, [-1.0])

    assert "opt = torch.optim.SGD(iter([x]), lr=1.0)" in lines(test)


def test_a_hook_that_runs_twice_is_written_once() -> None:
    def test() -> None:
        p = parameter(1.0)
        p.register_hook(lambda grad: grad * 3)
        for _ in range(2):
            p.square().sum().backward()
        holds(p.grad, [12.0])

    found = lines(test)
    assert sum(line.endswith(".mul(3)") for line in found) == 1
    assert sum(line.endswith(".backward()") for line in found) == 2


def test_a_step_is_kept_though_it_gives_but_a_number() -> None:
    def test() -> None:
        p = parameter(2.0)
        opt = torch.optim.SGD([p], lr=0.25)

        def closure() -> float:
            loss = p.square().sum()
            loss.backward()
            return loss.item()

        opt.step(closure)
        holds(p, [1.0])

    assert any(line.startswith("opt.step(function") for line in lines(test))


def test_a_result_that_was_given_keeps_its_name() -> None:
    def test() -> None:
        x, y = literal(torch.ones)(2), literal(torch.ones)(2)
        same, _ = torch.atleast_1d(x, y)
        assert same is x
        holds(same.square() + y, [2.0, 2.0])

    assert not any("atleast" in line for line in lines(test))


def test_random_numbers_of_which_nobody_heard_leave_no_seed() -> None:
    def test() -> None:
        literal(torch.rand)(1)
        noise = torch.rand(1) * 0
        holds(literal(torch.ones)(1).square() + noise, [1.0])

    with torch.random.fork_rng(devices=[]):
        found = lines(test)
    assert any("torch.rand(1)" in line for line in found)
    assert not any("manual_seed" in line for line in found)


def test_a_file_is_read_from_where_it_was_read() -> None:
    def test() -> None:
        file = io.BytesIO()
        torch.save(literal(torch.ones)(2).square(), file)
        file.seek(0)
        holds(torch.load(file), [1.0, 1.0])

    found = lines(test)
    assert [line for line in found if "file" in line and "torch" not in line] == [
        "file = io.BytesIO()",
        "file.seek(0)",
    ]


def test_of_an_optimizer_that_cannot_be_written_what_it_calls_is() -> None:
    def test() -> None:
        p = parameter(1.0)
        opt = torch.optim.SGD([{"params": [p], "tag": object()}], lr=1.0)
        p.square().backward(literal(torch.ones)(1))
        opt.step()
        holds(p, [-1.0])

    found = lines(test)
    assert not any("SGD" in line for line in found)
    assert any(".add_(" in line and line.endswith(", alpha=-1.0)") for line in found)


def test_of_a_closure_given_to_such_an_optimizer_the_calls_are_written() -> None:
    def test() -> None:
        p = parameter(1.0)
        opt = torch.optim.SGD([{"params": [p], "tag": object()}], lr=1.0)

        def closure() -> torch.Tensor:
            loss = p.square()
            loss.backward(literal(torch.ones)(1))
            return loss

        opt.step(closure)
        holds(p, [-1.0])

    found = lines(test)
    assert not any("closure" in line or "def " in line for line in found)
    assert any(".square()" in line for line in found)


def test_functions_that_a_test_holds_are_replaced_for_a_while() -> None:
    function = torch.func.vjp
    held = {"f": function, "pair": (function, 1), "table": {"inner": [], "f": function}}
    before = {**held, "table": {**held["table"]}}  # type: ignore[dict-item]
    with pytest.MonkeyPatch.context() as patch:
        replace_held(patch, held, {function: print})
        assert held == {"f": print, "pair": (print, 1), "table": {"inner": [], "f": print}}
    assert held == before


def test_a_number_of_17_digits_has_them_all() -> None:
    assert numbers(torch.tensor([0.1 + 0.2], dtype=torch.float64)) == (
        "torch.tensor([0.30000000000000004], dtype=torch.float64)"
    )


# Functions that torch is given


def test_a_compiled_function_is_written_with_what_it_does() -> None:
    def test() -> None:
        x = literal(torch.ones)(2)
        holds(torch.compile(lambda x: x.square(), backend="eager")(x), [1.0, 1.0])

    found = lines(test)
    assert found[-1].startswith("got = torch.compile(function, backend='eager')(")
    assert any(line.endswith(".square()") for line in found)


def test_a_compiled_function_of_no_tensors_is_called_and_not_written() -> None:
    def test() -> None:
        x = literal(torch.ones)(2)
        torch.compile(lambda: None, backend="eager")()
        code = torch.compile(torch.neg, backend="eager")
        with torch.no_grad():
            literal(code)(x)
        holds(x.square(), [1.0, 1.0])

    assert not any("compile" in line for line in lines(test))


def test_a_function_that_torch_never_called_ends_the_script_where_it_is_called() -> None:
    def test() -> None:
        x = parameter(1.0)
        y = x * 2
        y.register_hook(lambda grad: grad + 1)
        holds(y + y, [4.0])

    def never(x: torch.Tensor, hook: object) -> None:
        x.data.mul_(2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "register_hook", never)
        script = script_of(test)
    assert isinstance(script, Script), script
    assert any("raise SystemExit(0)" in line for line in script.lines())


def test_hooks_that_only_listen_are_left_out() -> None:
    def test() -> None:
        x = parameter(1.0)
        x.register_hook(print)
        x.register_hook(lambda grad: heard.append(grad + 0))
        x.square().sum().backward()
        holds(x.grad, [2.0])

    heard: list[torch.Tensor] = []
    assert not any("hook" in line for line in lines(test))
    assert heard


def test_a_call_that_was_refused_may_have_done_something_all_the_same() -> None:
    def test() -> None:
        x = literal(torch.ones)(2)
        with pytest.raises(RuntimeError):
            x.mul_(literal(torch.ones)(3))
        holds(x, [1.0, 1.0])

    def spoils(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        raise RuntimeError("refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "mul_", spoils)
        script = script_of(test)
        assert isinstance(script, Script), script
    assert "with contextlib.suppress(Exception):" in script.lines()


# Modules


def test_members_of_modules_are_found_and_deleted() -> None:
    def test() -> None:
        inner = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(1, 1))
        module = torch.nn.ModuleDict({"a": torch.nn.ModuleList({"b": inner}.values())})
        del inner[0]
        module["c"] = torch.nn.Identity()
        module.register_buffer("q", literal(torch.ones)(1))
        del module.q
        assert len(list(module.modules())) == 4
        assert module.get_submodule("a.0.0").bias is None

    script = script_of(test)
    assert isinstance(script, Script), script
    text = "\n".join(script.lines())
    assert "del sequential[0]" in text
    assert "del moduledict.q" in text


def test_numbers_that_nobody_has_seeded_are_seeded() -> None:
    def test() -> None:
        holds(torch.nn.Linear(1, 1).weight, [[7.0]])

    script = script_of(test)
    assert isinstance(script, Script), script
    assert script.lines()[0] == "torch.manual_seed(0)"
