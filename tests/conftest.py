"""Fixtures for all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("correlate", deadline=None)  # the first call into a library takes its time
settings.load_profile("correlate")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data in shared/data beside the repository")
    return SHARED_DATA
