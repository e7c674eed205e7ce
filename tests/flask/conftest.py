"""Applications of Flask with caches, and nodes that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_caching import Cache

from lru_cache.faces.nodes import end_all

Make = Callable[..., tuple[Flask, Any]]


@pytest.fixture(autouse=True)
def _fresh_nodes() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def make() -> Make:
    """Make an application with its cache, of what stands in its configuration."""

    def made(location: Any = "", options: Any = None, **config: Any) -> tuple[Flask, Any]:
        app = Flask("shop")
        app.config.update(CACHE_TYPE="lru_cache.flask.LRUCacheBackend", CACHE_LOCATION=location, CACHE_OPTIONS=options)
        app.config.update(config)
        return app, Cache(app)

    return made


@pytest.fixture
def pair(tmp_path: Path, make: Make) -> Callable[..., list[Any]]:
    """Make two backends that are one cache, as two processes have it."""
    tmp_path.chmod(0o700)

    def made(config: Any = None, **options: Any) -> list[Any]:
        both = []
        for region in ("here", "there"):
            app, cache = make(str(tmp_path / "c.sock"), {**options, "region": region}, **(config or {}))
            both.append(app.extensions["cache"][cache])
        assert both[0].node is not both[1].node
        for each in both:
            assert each.node.wait_connected(timeout=30)
        return both

    return made
