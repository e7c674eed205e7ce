"""What a location stands for."""

from typing import Any

import pytest

from lru_cache.faces.places import place_of


@pytest.mark.parametrize(
    ("location", "argument", "value"),
    [
        ("app", "local_cluster", "app"),
        ("/run/app/cache.sock", "local_cluster", "/run/app/cache.sock"),
        ("10.0.0.5:7000", "remote_address", "10.0.0.5:7000"),
        (["a:1", "b:2"], "remote_address", ["a:1", "b:2"]),
        (("10.0.0.5", 7000), "remote_address", ("10.0.0.5", 7000)),
        ("dns://cache.svc:7000", "remote_address", "dns://cache.svc:7000"),
        ("redis://db:6379/0?stream=app", "engine", "redis://db:6379/0?stream=app"),
        ("nats://db:4222", "engine", "nats://db:4222"),
    ],
)
def test_a_location_is_a_name_an_address_or_an_engine(location: Any, argument: str, value: Any) -> None:
    assert place_of(location) == {argument: value}


@pytest.mark.parametrize("location", ["", None])
def test_without_a_location_nothing_is_shared(location: Any) -> None:
    assert place_of(location) == {}
