"""How often each value of each option is drawn, so that no corner is left out by accident."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 500
LEAST = EXAMPLES // 100  # one in a hundred


def drawn(strategy: st.SearchStrategy[Any], count: int = EXAMPLES) -> list[Any]:
    """So many examples, the same in every run."""
    examples: list[Any] = []

    @settings(
        max_examples=count,
        backend="independent",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples


def assert_all_are_drawn(
    strategy: st.SearchStrategy[Any],
    options: Callable[[Any], dict[str, set[Any]]],
    values: dict[str, int],
) -> None:
    """Each value that an option has comes up in at least one example of a hundred.

    Args:
        strategy: draws the cases of a property.
        options: by name, what occurs in a case.
        values: how many values an option has, where they are not two.
    """
    seen: dict[str, Counter[Any]] = defaultdict(Counter)

    for case in drawn(strategy):
        for option, occurring in options(case).items():
            seen[option].update(occurring)
    for option, counts in seen.items():
        assert len(counts) == values.get(option, 2), f"{option}: {counts}"
        assert min(counts.values()) >= LEAST, f"{option}: {counts} of {EXAMPLES}"
