"""The profiles, and the failing examples that machines share."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from tests.harness import profiles
from tests.meta.options import drawn

KEY, EXAMPLE = b"a property", b"its failing example"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    name = settings.get_current_profile_name()
    yield
    settings.load_profile(name)


def test_a_failing_example_is_seen_by_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    import fakeredis
    import redis
    from hypothesis.extra.redis import RedisExampleDatabase

    server = fakeredis.FakeServer()
    monkeypatch.setattr(
        redis.Redis, "from_url", lambda url: fakeredis.FakeRedis(server=server), raising=True
    )
    databases = []
    for name in ("thorough", "quick"):
        profiles.share(settings.get_profile(name), "redis://somewhere")
        assert settings().max_examples == profiles.EXAMPLES[name]
        assert isinstance(settings().database, RedisExampleDatabase)
        databases.append(settings().database)
    here, there = databases
    assert here is not None
    assert there is not None
    here.save(KEY, EXAMPLE)
    assert list(there.fetch(KEY)) == [EXAMPLE]


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(pytest.UsageError, match=r"BACKPROOF_REDIS=redis://localhost:1: .+"):
        profiles.share(settings.get_profile("quick"), "redis://localhost:1")


def test_without_the_package_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(pytest.UsageError, match="BACKPROOF_REDIS is set: install redis"):
        profiles.share(settings.get_profile("quick"), "redis://localhost:1")


@pytest.mark.parametrize("chosen", ["quick", None])
def test_a_run_shares_where_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    shared = []
    monkeypatch.setattr(profiles, "share", lambda *given: shared.append(given))
    config: Any = SimpleNamespace(getoption=lambda name: chosen)
    name = chosen or "default"
    for url in ("", "redis://somewhere"):
        monkeypatch.setenv("BACKPROOF_REDIS", url)
        profiles.pytest_configure(config)
        assert settings.get_current_profile_name() == name
    assert shared == [(settings.get_profile(name), "redis://somewhere")]


def test_bytes_are_of_every_length_that_is_allowed() -> None:
    assert {len(x) for x in drawn(st.binary(min_size=1, max_size=3), 50)} == {1, 2, 3}
    assert {len(x) for x in drawn(st.binary(min_size=4, max_size=4), 5)} == {4}
    assert len(set(drawn(st.binary(min_size=4, max_size=4), 5))) == 5
