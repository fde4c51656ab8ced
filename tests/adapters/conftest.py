"""What every adapter's tests report: the times to first audio that were measured."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each time."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "first_audio_ms":
                terminalreporter.line(f"time to first audio {value:.0f} ms: {report.nodeid.rpartition('::')[2]}")
