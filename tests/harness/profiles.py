"""How many examples a property is tried on: the profiles, and which of them is the default."""

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = {"quick": 15, "default": 100, "thorough": 3000, "ci": 100}

for profile, max_examples in EXAMPLES.items():
    settings.register_profile(
        profile,
        max_examples=max_examples,
        deadline=None,  # the first call of a kernel may compile or import; time is not a verdict
        print_blob=True,
        derandomize=profile == "ci",
        **({"database": None} if profile == "ci" else {}),
        suppress_health_check=[HealthCheck.too_slow],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose our default, where Hypothesis would load its own profile under CI and inside tox."""
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("default")
