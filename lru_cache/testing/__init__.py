"""Tools for testing code that uses these caches: ours and yours. Part of the public API.

What is here must not import pytest: it works under any test runner.
"""

from lru_cache.testing.manual_clock import ManualClock

__all__ = ["ManualClock"]
