"""Events as tests and vectors write them: each kind with the fields that it has."""

from lru_cache.replication import Event, Kind, Version


def set_event(key: bytes, version: Version, payload: bytes, life_ms: int | None = None, hops: int = 1) -> Event:
    return Event(Kind.SET, key, version, hops, payload, life_ms)


def invalidate_event(key: bytes, version: Version, hops: int = 1) -> Event:
    return Event(Kind.INVALIDATE, key, version, hops)


def load_event(
    key: bytes, began: Version, told: Version, payload: bytes, life_ms: int | None = None, hops: int = 1
) -> Event:
    return Event(Kind.LOAD, key, began, hops, payload, life_ms, told)


def touch_event(key: bytes, version: Version, touched: Version, life_ms: int | None, hops: int = 1) -> Event:
    return Event(Kind.TOUCH, key, version, hops, None, life_ms, touched)
