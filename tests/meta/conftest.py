"""What is drawn anew each day: which faults are put into torch. And what is no test."""

import os
from datetime import date

import pytest

# To look for doctests, pytest would import these, and torch would have a second device.
collect_ignore = ["second_device.py", "second_device_tf32.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Of one day in all processes, even at midnight."""
    os.environ.setdefault("BACKPROOF_DAY", date.today().isoformat())


def pytest_report_header() -> str:
    return f"faults of the day: BACKPROOF_DAY={os.environ['BACKPROOF_DAY']} draws them again"
