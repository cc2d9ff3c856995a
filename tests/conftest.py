"""Which files are collected: those of tests. Doctests are in `reference` alone.

To look for them in every module would import it, with matplotlib and all that tests do not need.
"""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    tests = any(collection_path.match(pattern) for pattern in config.getini("python_files"))
    return True if collection_path.suffix == ".py" and not tests else None
