"""A project of Django's, and caches of it that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="of these tests",
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        ROOT_URLCONF="tests.django.pages",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        LANGUAGES=[("en", "English"), ("de", "German")],
        CACHES={"default": {"BACKEND": "lru_cache.django.LRUCacheBackend"}},
        USE_TZ=True,
    )
    django.setup()

from lru_cache.django import LRUCacheBackend
from lru_cache.faces.nodes import end_all

Make = Callable[..., LRUCacheBackend]


@pytest.fixture(autouse=True)
def _fresh_nodes() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def make() -> Make:
    """Make a backend as Django does, of what stands in CACHES."""

    def made(location: Any = "", options: Any = None, **params: Any) -> LRUCacheBackend:
        return LRUCacheBackend(location, {"OPTIONS": options or {}, **params})

    return made


@pytest.fixture
def cache(make: Make) -> LRUCacheBackend:
    return make()


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., tuple[LRUCacheBackend, LRUCacheBackend]]:
    """Make two that are one cache, as two processes have it."""
    tmp_path.chmod(0o700)

    def made(**options: Any) -> tuple[LRUCacheBackend, LRUCacheBackend]:
        both = [
            LRUCacheBackend(str(tmp_path / "c.sock"), {"OPTIONS": {**options, "region": region}})
            for region in ("here", "there")
        ]
        assert both[0].node is not both[1].node
        for each in both:
            assert each.node.wait_connected(timeout=30)
        return both[0], both[1]

    return made
