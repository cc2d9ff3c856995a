"""`pytest -m claim`: the marker, what each test has shown, and the table at the end."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.claims.claim import Claim
from tests.claims.table import Row, page, table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("backproof").addoption(
        "--claims",
        metavar="PAGE",
        type=Path,
        help="with -m claim: write the table of claims into this file, in Markdown",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "claim(id): settles a belief about training; the id is in the test's, too"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    """Put what a test has shown where its report carries it, from other processes, too."""
    try:
        yield
    finally:
        if item.get_closest_marker("claim"):
            item.user_properties.append(("claim", asdict(item.callspec.params["claim"])))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table after a run of claims alone."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    shown: list[Any] = [dict(report.user_properties).get("claim") for report in reports]
    rows = Row.merged(
        (Claim(**claim), report.passed)
        for report, claim in zip(reports, shown, strict=True)
        if claim is not None
    )
    if rows and None not in shown:
        terminalreporter.section("what people believe")
        terminalreporter.write(table(rows, terminalreporter.hasmarkup))
    if config.option.claims:
        config.option.claims.write_text(page(rows), "utf-8")
