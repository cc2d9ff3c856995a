"""The references as a textbook: what each function must say of itself, and must not do."""

import re
from importlib import import_module
from inspect import getmembers, isfunction, signature
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import reference
from tests.meta import read_only
from tests.meta.faults.runs import REPOSITORY, open_runs

CHAPTERS = [name for _, name, _ in iter_modules(reference.__path__) if name != "__main__"]


def functions(chapter: str) -> dict[str, Any]:
    """Those that a file defines, by name."""
    module: ModuleType = import_module(f"reference.{chapter}")
    return {
        name: function
        for name, function in getmembers(module, isfunction)
        if function.__module__ == module.__name__
    }


IMPORT = re.compile(r"^ *from reference\.(\w+) import (\([^)]*\)|.*)", re.MULTILINE)


def imported() -> set[tuple[str, str]]:
    """The functions that some other file imports, with their chapters. The others are helpers."""
    files: list[Path] = [p for f in ("reference", "tests") for p in (REPOSITORY / f).rglob("*.py")]
    return {
        (chapter, name)
        for path in files
        for chapter, names in IMPORT.findall(path.read_text("utf-8"))
        for name in re.findall(r"\w+", names)
    }


GRAPH = {"arithmetic", "drawing", "graph", "operations"}  # each explains its functions together
WITHOUT_SOURCE = {"arithmetic", "drawing", "operations", "reduction"}  # school, and our own
ORDER = ("Args:", "Returns:", "Raises:", "Divergence", ">>> ", "Source")


def explained() -> list[Any]:
    """The functions that need more than a line to be explained."""
    used = imported()
    return [
        pytest.param(function, id=f"{chapter}.{name}")
        for chapter in CHAPTERS
        if chapter not in GRAPH
        for name, function in functions(chapter).items()
        if (chapter, name) in used and len((function.__doc__ or "").splitlines()) > 1
    ]


@pytest.mark.parametrize("function", explained())
def test_a_function_explains_its_arguments_and_result_and_shows_an_example(function: Any) -> None:
    sections = [section for section in ORDER if section in function.__doc__]
    needed = {">>> "} | ({"Args:"} if signature(function).parameters else set())
    if signature(function).return_annotation is not None:
        needed.add("Returns:")
    assert needed <= set(sections), needed - set(sections)
    assert sections == sorted(sections, key=function.__doc__.index), "in another order"


@pytest.mark.parametrize("chapter", sorted(set(CHAPTERS) - WITHOUT_SOURCE))
def test_a_chapter_names_its_sources(chapter: str) -> None:
    documents = [import_module(f"reference.{chapter}").__doc__ or ""]
    documents += [function.__doc__ or "" for function in functions(chapter).values()]
    assert any("Source: " in text or "Sources: " in text for text in documents)


def test_the_table_of_contents_lists_chapters() -> None:
    listed = re.findall(r"^    (\w+)  +\w", reference.__doc__ or "", re.MULTILINE)
    assert set(listed) <= set(CHAPTERS)
    assert len(listed) > len(CHAPTERS) / 2


def test_a_function_that_writes_to_its_argument_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def writes(scale: float, *, arrays: list[np.ndarray]) -> None:
        arrays[0] *= scale

    monkeypatch.setitem(read_only.CALLS, "writes", 0)
    with pytest.raises(ValueError, match="read-only"):
        read_only.guarded("writes", writes)(2.0, arrays=[np.ones(2)])
    assert read_only.CALLS["writes"] == 1


def test_no_function_changes_its_arguments_and_none_goes_unproved() -> None:
    """The references' own tests, with every array that is handed to them read-only."""
    with open_runs() as runs:
        run = runs(
            *("tests/references", "reference", "-p", "tests.meta.read_only"),
            *("--hypothesis-profile", "quick", "--hypothesis-seed", "1"),
        )
    assert run.exit_code == pytest.ExitCode.OK, run.output
    assert "never called: nothing" in run.output, run.output
