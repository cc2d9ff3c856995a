"""A failure becomes a script that fails where torch is wrong, and passes where it is right."""

import copy
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad

from tests.harness.reproducer.entrances import recording
from tests.harness.reproducer.file import write, write_ahead
from tests.harness.reproducer.literals import PACKED, as_bytes, numbers
from tests.harness.reproducer.pause import literal
from tests.harness.reproducer.recorder import Recorder
from tests.harness.reproducer.replay import script_of
from tests.harness.reproducer.script import Script
from tests.harness.reproducer.tape import Tape
from tests.harness.rounding import Rounding
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.targets import Target
from tests.harness.verdict import Deviation, check, deviates

CPU = Target("cpu", "float32", "functional")


def status(path: Path) -> int:
    """The exit status of a script."""
    try:
        runpy.run_path(str(path))
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:
        return 1
    return 0


@pytest.fixture
def proved(tmp_path: Path) -> Callable[..., list[str]]:
    """Break a function of torch and run a test on it: the lines of its script, which is proved."""

    def prove(test: Callable[[], Any], owner: Any, name: str, wrong: Any) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            sound = getattr(owner, name)
            patch.setattr(owner, name, lambda *args, **kwargs: wrong(sound, *args, **kwargs))
            script = script_of(test)
            assert isinstance(script, Script), script
            path = write(
                tmp_path, f"component: output on {CPU} deviates from the reference", script
            )
            assert status(path) == 1, path.read_text()
        assert path.name == "component-output-cpu-float32-functional.py"
        assert status(path) == 0, path.read_text()
        return script.lines()

    return prove


def doubled(sound: Any, *args: Any, **kwargs: Any) -> Any:
    return 2 * sound(*args, **kwargs)


def holds(actual: torch.Tensor | None, expected: Any, dtype: str = "float32") -> None:
    target = Target("cpu", dtype, "functional")
    check("component", "output", target, actual, Rounding.kernel(dtype).array(expected))


# Leaves


ODD = torch.tensor([0x7FC00001, -1, 0, -(2**31)], dtype=torch.int32)  # two NaN, and both zeros


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([0.1, -0.0, torch.inf, torch.nan, 5e-324], dtype=torch.float64),
        torch.tensor([[0.1, 1 / 3], [3.4e38, 1e-45]]),
        torch.tensor([0.1, 3e38], dtype=torch.bfloat16),
        torch.tensor(0.1, dtype=torch.float16),
        ODD.view(torch.float32),
        torch.tensor([True, False]),
        torch.tensor([[1, -(2**63)]]),
        torch.full((3, 4), -0.0),
        torch.empty(2, 0, 3),
        torch.sin(torch.arange(600.0)).reshape(2, 300),
        torch.tensor([1 + 2j, 0.5j]),
    ],
    ids=lambda x: f"{x.dtype} {tuple(x.shape)}",
)
def test_numbers_are_spelled_to_the_last_bit(x: torch.Tensor) -> None:
    names: dict[str, Any] = {"inf": torch.inf, "nan": torch.nan}
    exec(f"import base64, torch, zlib\n{PACKED}", names)
    again = eval(numbers(x), names)
    assert (again.dtype, again.shape) == (x.dtype, x.shape)
    assert as_bytes(again) == as_bytes(x)


@literal
def made(layout: str, dims: int) -> torch.Tensor:
    return LAYOUTS[layout](torch.ones((2, 3, 4, 2, 2)[:dims]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [0, 2, 4, 5])
def test_a_leaf_lies_as_it_lay(proved: Any, layout: str, dims: int) -> None:
    x = made(layout, dims)
    count = np.asarray(float(x.numel()))
    lines = proved(lambda: holds(F.relu(made(layout, dims)).sum(), count), F, "relu", doubled)
    names: dict[str, Any] = {}
    exec(f"import base64, torch, zlib\nfrom torch import inf, nan\n{PACKED}\n{lines[0]}", names)
    (leaf,) = (x for x in names.values() if isinstance(x, torch.Tensor))
    assert (leaf.shape, leaf.stride()) == (x.shape, x.stride())


def test_leaves_share_memory_where_they_did(proved: Any) -> None:
    def test() -> None:
        x = literal(torch.arange)(4.0)
        first, last = literal(x.__getitem__)(slice(0, 2)), literal(x.__getitem__)(slice(2, 4))
        last.copy_(first)
        holds(F.relu(x), [0.0, 1.0, 0.0, 1.0])

    assert "memory1 = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float32)" in proved(
        test, F, "relu", doubled
    )


# Calls


def test_gradients_and_modules(proved: Any) -> None:
    def test() -> None:
        module = torch.nn.Linear(1, 1)
        weight = literal(torch.ones)(1, 1)
        module.register_parameter("weight", torch.nn.Parameter(weight))
        with torch.no_grad():
            module.bias.zero_()
        module(literal(torch.ones)(1, 1)).backward(literal(torch.ones)(1, 1))
        holds(module.weight.grad, [[1.0]])

    lines = proved(test, F, "linear", doubled)
    assert "linear = torch.nn.Linear(1, 1)" in lines


def test_transforms_take_functions(proved: Any) -> None:
    def test() -> None:
        x, back = literal(torch.ones)(2), literal(torch.ones)(2)
        pull_back = torch.func.vjp(lambda x: F.relu(x) * 3, x)[1]
        holds(pull_back(back)[0], [3.0, 3.0])

    lines = proved(test, F, "relu", doubled)
    assert any(line.startswith("def function(x") for line in lines)


def test_closures_hooks_and_options(proved: Any) -> None:
    def test() -> None:
        p = literal(lambda: torch.ones(1, requires_grad=True))()
        opt = torch.optim.SGD([p], lr=1.0)
        p.register_hook(lambda grad: grad * 2)

        def closure() -> torch.Tensor:
            loss = p.square().sum()
            loss.backward()
            return loss

        opt.param_groups[0]["lr"] = 0.25
        opt.step(closure)
        holds(p, [0.0])

    lines = proved(test, torch.Tensor, "square", doubled)
    assert "opt.param_groups[0]['lr'] = 0.25" in lines


def test_state_copies_and_saved_dictionaries(proved: Any) -> None:
    def test() -> None:
        p = literal(lambda: torch.ones(1, requires_grad=True))()
        opt = torch.optim.Adam([p])
        p.grad = literal(torch.ones)(1)
        opt.step()
        other = copy.deepcopy(opt)
        other.load_state_dict(opt.state_dict())
        (q,) = other.param_groups[0]["params"]
        holds(other.state[q]["exp_avg"] * 10, [1.0], "float32")

    def wrong(sound: Any, self: Any, state: Any) -> None:
        sound(self, state)
        for of_one in self.state.values():
            of_one["exp_avg"].mul_(2)

    lines = proved(test, torch.optim.Optimizer, "load_state_dict", wrong)
    assert any("copy.deepcopy(opt)" in line for line in lines)


def test_forward_mode_autocast_and_random_numbers(proved: Any) -> None:
    def test() -> None:
        torch.default_generator.manual_seed(3)
        noise = torch.rand(2) * 0
        x, along = literal(torch.ones)(2), literal(torch.ones)(2)
        with torch.autocast("cpu", torch.bfloat16), forward_ad.dual_level():
            y = F.relu(forward_ad.make_dual(x, along)) + noise
            holds(forward_ad.unpack_dual(y).tangent, [1.0, 1.0])

    with torch.random.fork_rng(devices=[]):
        lines = proved(test, F, "relu", doubled)
    assert "torch.manual_seed(3)" in lines
    assert any("dual_level(), torch.autocast('cpu', torch.bfloat16):" in line for line in lines)


def test_operators_and_indices(proved: Any) -> None:
    def test() -> None:
        x = literal(torch.ones)(2, 3)
        x[0, 1:, None] = 2.0
        x += 1
        y = (1 - F.relu(-x)[..., ::2]) ** -1.0
        holds(y, np.ones((2, 2)))

    lines = proved(test, F, "relu", lambda sound, x: sound(x) + 1)
    assert "x[0, 1:, None] = 2.0" in lines
    assert "x.add_(1)" in lines


def test_generators_begin_where_they_began(proved: Any) -> None:
    def test() -> None:
        generator = torch.Generator().manual_seed(5)
        x = torch.nn.init.uniform_(literal(torch.zeros)(1), 2.0, 3.0, generator)
        holds((x > 2).float(), [1.0])

    def low(sound: Any, x: torch.Tensor, a: float, b: float, generator: Any) -> torch.Tensor:
        return sound(x, a - 3, b - 3, generator)

    lines = proved(test, torch.nn.init, "uniform_", low)
    assert "torch.Generator().manual_seed(5)" in " ".join(lines)


# Endings


def test_a_wrong_dtype_is_described(proved: Any) -> None:
    def test() -> None:
        holds(F.relu(literal(torch.ones)(1)), [1.0])

    proved(test, F, "relu", lambda sound, x: sound(x).double())


def test_a_missing_gradient_is_observed(proved: Any) -> None:
    def test() -> None:
        x = literal(lambda: torch.ones(1, requires_grad=True))()
        F.relu(x).sum().backward()
        holds(x.grad, [1.0])

    proved(test, torch.Tensor, "backward", lambda sound, *args, **kwargs: None)


def test_a_property_is_observed(proved: Any) -> None:
    def test() -> None:
        x = literal(torch.ones)(1)
        y = F.relu(x)
        if not torch.equal(y, x):
            deviates("component", "output", CPU, "is another", (y, x), "torch.equal(*got)")

    proved(test, F, "relu", doubled)


def test_the_sign_of_zero_is_compared(proved: Any) -> None:
    proved(lambda: holds(F.relu(literal(torch.zeros)(1)), [0.0]), F, "relu", lambda f, x: -f(x))


def test_an_error_without_reason_is_raised_again(proved: Any) -> None:
    def refuse(sound: Any, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("refused")

    lines = proved(lambda: F.relu(literal(torch.ones)(1)), F, "relu", refuse)
    assert lines[-1].startswith("F.relu(")


def test_there_is_no_script_of_what_torch_did_not_do() -> None:
    def told() -> None:
        raise Deviation("something is wrong")

    def elsewhere() -> None:
        holds(torch.from_numpy(np.ones(1, np.float32)), [2.0])

    def failed() -> None:
        assert F.relu(literal(torch.ones)(1)).item() == 2

    for test in (told, elsewhere, failed, lambda: None):
        assert isinstance(script_of(test), str)


def test_a_call_is_written_down_before_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    seen = []

    def ahead(tape: Tape) -> None:
        write_ahead(path, "test", tape)
        seen.append(path.read_text().splitlines()[-1])

    with recording(Recorder(ahead)):
        x = literal(torch.ones)(1)
        y = F.relu(x)
        torch.func.vjp(lambda z: z * 2, y)
    assert seen[0].startswith("F.relu(")
    assert any("torch.func.vjp(function, " in line for line in seen)
    assert path.read_text().startswith('"""test: the last of these calls kills the process')


def test_numbers_that_torch_has_computed_are_not_written_down() -> None:
    """Two parameters have one buffer, which no script can tell from two that are alike."""

    def test() -> None:
        params = [literal(lambda: torch.ones(1, requires_grad=True))() for _ in range(2)]
        opt = torch.optim.SGD(params, lr=1.0, momentum=0.5)
        for p in params:
            p.grad = literal(torch.ones)(1)
        opt.step()
        state = opt.state[params[0]]
        opt.state[params[1]] = state
        holds(state["momentum_buffer"].add(1).mul(2), [5.0])

    assert isinstance(script_of(test), str)
