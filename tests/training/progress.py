"""A progress bar that is seen while pytest captures what tests print."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


def progress(items: Sequence[T], label: str, config: pytest.Config) -> Iterator[T]:
    """Yield the items, with a bar on the terminal; without tqdm, or without a terminal, no bar."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield from items
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    bar = None
    for item in items:
        with capture.global_and_fixture_disabled():
            if bar is None:
                bar = tqdm(total=len(items), desc=label, leave=False, disable=None)
            bar.update()
        yield item
    if bar is not None:
        with capture.global_and_fixture_disabled():
            bar.close()
