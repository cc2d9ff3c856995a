"""How a call of torch is written: as an operator, an attribute, a method or a function."""

from typing import Any

from tests.harness.reproducer.tape import Tape, UnspeakableError

OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "div": "/", "floordiv": "//", "mod": "%",
    "pow": "**", "matmul": "@", "and": "&", "or": "|", "xor": "^", "eq": "==", "ne": "!=",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
PREFIXES = {"neg": "-", "invert": "~", "pos": "+"}


def expression(  # noqa: PLR0911  (one for each way of writing)
    tape: Tape, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], hints: list[str]
) -> str:
    """Source of the call. A name that begins with a dot is that of a method."""
    if not name.startswith("."):
        return f"{name}({tape.arguments(args, kwargs, hints)})"
    owner = tape.spell(args[0], hints[0] if hints else "x")
    if name.startswith(".grad."):
        owner = tape.values.look(args[0]).former or owner
    name, args, hints = name[1:], args[1:], hints[1:]
    if name.endswith(".__get__"):
        return f"{owner}.{name.removesuffix('.__get__')}"
    if name.endswith(".__set__"):
        attribute = name.removesuffix(".__set__")
        return f"{owner}.{attribute} = {tape.spell(args[0], f'{attribute}_{owner}')}"
    if name == "__setattr__":
        return f"{owner}.{args[0]} = {tape.spell(args[1], args[0])}"
    if name == "__delattr__":
        return f"del {owner}.{args[0]}"
    if name == "__delitem__":
        return f"del {owner}[{index(tape, args[0])}]"
    if name == "__call__":
        return f"{owner}({tape.arguments(args, kwargs, hints)})"
    if name == "__getitem__":
        return f"{owner}[{index(tape, args[0])}]"
    if name == "__setitem__":
        return f"{owner}[{index(tape, args[0])}] = {tape.spell(args[1])}"
    if name.startswith("__"):
        return operator(owner, name.strip("_"), [tape.spell(x, "other") for x in args])
    return f"{owner}.{name}({tape.arguments(args, kwargs, hints)})"


def operator(owner: str, name: str, others: list[str]) -> str:
    if name in PREFIXES:
        return f"{PREFIXES[name]}{owner}"
    (other,) = others or [""]
    other = f"({other})" if other.startswith("-") else other
    if name in OPERATORS:
        return f"{owner} {OPERATORS[name]} {other}"
    if name[0] == "r" and name[1:] in OPERATORS:
        return f"{other} {OPERATORS[name[1:]]} {owner}"
    if name[0] == "i" and name[1:] in OPERATORS:
        return f"{owner} {OPERATORS[name[1:]]}= {other}"
    raise UnspeakableError(name)


def index(tape: Tape, given: Any) -> str:
    if isinstance(given, tuple) and given:
        return ", ".join(index(tape, part) for part in given)
    if isinstance(given, slice):
        ends = ["" if end is None else tape.spell(end) for end in (given.start, given.stop)]
        step = "" if given.step is None else f":{given.step}"
        return f"{':'.join(ends)}{step}"
    return tape.spell(given, "index")
