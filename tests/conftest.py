"""What all tests share: how property tests run, and what a test does without a browser.

Tests marked `embedded` are never skipped. Where no namespace can be made they fail with
the sentence that says why: a green run without a single packet would be a lie.
"""

import os
import shutil
import signal

import hypothesis
import pytest

# A busy machine is no reason to fail, and a service's run must be repeatable.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell starts what runs in its background with SIGINT ignored, and programs inherit that:
# the tests that press Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a browser test, with the remedy, on a machine without Chromium."""
    if item.get_closest_marker("browser") and not shutil.which("chromium"):
        pytest.skip("there is no chromium on this machine; `make test` says how to install it")
