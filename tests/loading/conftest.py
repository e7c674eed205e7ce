"""What is claimed of loading, of both classes of caches, and of both faces."""

from collections.abc import Iterator

import pytest

import lru_cache
from tests.loading.faces import ALoop, ByTasks, ByTasksOfTasks

FACES = {
    "LRUCache": lru_cache.LRUCache,
    "LRUCacheDistributed": lru_cache.LRUCacheDistributed,
    "aget": ByTasks,
    "aget, async def": ByTasksOfTasks,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each face, but for those to which a claim does not apply."""
    if "each_face" in metafunc.fixturenames:
        excepted = {face for mark in metafunc.definition.iter_markers("unless_by") for face in mark.args}
        metafunc.parametrize("each_face", [face for face in FACES if face not in excepted], indirect=True)


@pytest.fixture
def each_face(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """For modules on what is so however it is asked for: by `LRUCache` they mean each of these."""
    face: str = request.param
    monkeypatch.setattr(request.module, "LRUCache", FACES[face])
    if not issubclass(FACES[face], ByTasks):
        yield face
        return
    with ALoop.running():
        yield face
