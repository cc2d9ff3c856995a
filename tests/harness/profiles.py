"""How many examples a property is tried on: the profiles, and which of them is the default."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture.providers import (
    AVAILABLE_PROVIDERS,
    COLLECTION_DEFAULT_MAX_SIZE,
    HypothesisProvider,
)


class Independent(HypothesisProvider):
    """Every example is drawn afresh.

    By itself, Hypothesis follows each example by about five that repeat parts of it elsewhere. That
    finds bugs of equal values; of the shapes, options and layouts here it sees a sixth as many.
    """

    def draw_bytes(self, min_size: int = 0, max_size: int = COLLECTION_DEFAULT_MAX_SIZE) -> bytes:
        """All at once, where their number is given; by itself, Hypothesis draws one at a time."""
        if min_size < max_size:
            return super().draw_bytes(min_size, max_size)
        assert self._random is not None
        return self._random.randbytes(min_size)


AVAILABLE_PROVIDERS["independent"] = f"{__name__}.{Independent.__qualname__}"

EXAMPLES = {"quick": 6, "default": 50, "thorough": 3000, "soak": 150, "ci": 50}

for profile, max_examples in EXAMPLES.items():
    settings.register_profile(
        profile,
        max_examples=max_examples,
        backend="independent",
        deadline=None,  # the first call of a kernel may compile or import; time is not a verdict
        phases=[phase for phase in Phase if phase != Phase.explain],  # which takes the longest
        print_blob=True,
        derandomize=profile == "ci",
        **({"database": None} if profile == "ci" else {}),
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.hookimpl(trylast=True)  # after Hypothesis
def pytest_configure(config: pytest.Config) -> None:
    """Choose our default, where Hypothesis would load its own profile under CI and inside tox."""
    chosen = config.getoption("--hypothesis-profile") or "default"
    settings.load_profile(chosen)
    if url := os.environ.get("BACKPROOF_REDIS"):
        share(settings.get_profile(chosen), url)


def share(profile: settings, url: str) -> None:
    """Keep the failing examples where other machines find them, and try theirs first."""
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis, RedisError
    except ImportError:
        raise pytest.UsageError("BACKPROOF_REDIS is set: install redis") from None
    server = Redis.from_url(url)
    try:
        server.ping()
    except RedisError as error:
        raise pytest.UsageError(f"BACKPROOF_REDIS={url}: {error}") from None
    database = RedisExampleDatabase(server)
    settings.register_profile("shared", profile, database=database, derandomize=False)
    settings.load_profile("shared")
