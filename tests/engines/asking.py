"""What tests of Redis ask of an engine, and what a failure of it may say."""

import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache.engines.engine import Engine, EngineError
from lru_cache.engines.redis import RedisEngine
from lru_cache.replication.log_records import Standing
from tests.concurrency import PATIENCE
from tests.engines.conftest import Reader
from tests.engines.fake_redis import FakeRedis

SECRETS = {"user": "smith-and-sons", "password": "open sesame"}
WHO = "smith-and-sons:open%20sesame@"

Make = Callable[..., RedisEngine]
Fakes = Callable[..., FakeRedis]


def connect(engine: Engine, seconds: float = PATIENCE) -> Standing:
    return engine.connect(time.monotonic() + seconds)


def reader(engine: Engine) -> Reader:
    made = Reader(engine)
    made.connect()
    return made


def filled(engine: Engine, count: int) -> Reader:
    """It has appended so many records, and read them."""
    made = reader(engine)
    for number in range(count):
        made.append(b"%d" % number)
        made.read()
    return made


def outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except EngineError as error:
        return error


def failure(act: Callable[[], Any], kind: type[EngineError] = EngineError) -> str:
    """What it says: in one line, and with nothing secret in all that it refers to."""
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    error: BaseException | None = caught.value
    while error is not None:
        shown = "".join(traceback.format_exception(error))
        held = [repr(value) for frame, _ in traceback.walk_tb(error.__traceback__) for value in locals_of(frame)]
        for secret in SECRETS.values():
            assert secret not in shown + repr(error.args)
            assert not [text for text in held if secret in text], "a variable of a frame"
        error = error.__cause__ or error.__context__
    assert "\n" not in str(caught.value)
    return str(caught.value)


def locals_of(frame: Any) -> list[Any]:
    return list(frame.f_locals.values()) if "lru_cache/" in frame.f_code.co_filename else []
