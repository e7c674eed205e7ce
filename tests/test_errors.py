"""Errors: one root, and each also what Python calls it."""

import pytest

from lru_cache import errors


@pytest.mark.parametrize("error", [errors.RecursiveLoadError, errors.AddressError, errors.ProtocolError])
def test_all_have_one_root(error: type[Exception]) -> None:
    assert issubclass(error, errors.LRUCacheError)


def test_errors_are_also_what_python_calls_them() -> None:
    assert issubclass(errors.RecursiveLoadError, RuntimeError)
    assert issubclass(errors.AddressError, OSError)
