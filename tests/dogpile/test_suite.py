"""What dogpile has in its wheel to test any backend passes on ours: with data, pickles, serializers, proxies."""

from typing import Any

import pytest
from dogpile.cache.proxy import ProxyBackend
from dogpile.testing import fixtures

pytestmark = pytest.mark.filterwarnings("ignore:arguments.* means nothing to the backend lru_cache:UserWarning")


class TestOfData(fixtures._GenericBackendTestSuite, fixtures._GenericMutexTestSuite):  # type: ignore[misc]
    backend = "lru_cache"
    config_args: Any = {"arguments": {"location": ""}}  # noqa: RUF012 - as dogpile has it


class OfOthers(fixtures._GenericBackendTestSuite):  # type: ignore[misc]
    """What is configured otherwise: but for the tests that sleep, since threads meet the same mutexes."""

    backend = "lru_cache"
    test_threaded_dogpile = test_threaded_get_multi = None


class TestOfPickles(OfOthers):
    config_args: Any = {"arguments": {"location": "", "pickle": "a secret"}}  # noqa: RUF012


class TestOfValuesThatStay(OfOthers):
    config_args: Any = {"arguments": {"location": "", "values": "local"}}  # noqa: RUF012


class TestBehindAProxy(OfOthers):
    config_args: Any = {"arguments": {"location": ""}, "wrap": [ProxyBackend]}  # noqa: RUF012


class TestOfWhatARegionSerializes(fixtures._GenericSerializerTestSuite, OfOthers):  # type: ignore[misc]
    config_args: Any = {"arguments": {"location": ""}}  # noqa: RUF012
