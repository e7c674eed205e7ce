"""The service, asked over HTTP as its clients would."""

import importlib.util
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

HERE = Path(__file__).parent
EXAMPLE = "8a35eb59-62b3-481c-8875-1f248df4c952"


def load(name: str) -> ModuleType:
    """The module beside this file: the project's root has a `main` of its own."""
    spec = importlib.util.spec_from_file_location(f"readonly_server_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load("generate")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    module = load("main")
    with module.cache:
        config = uvicorn.Config(module.app, port=0, log_level="error")
        listening = config.bind_socket()
        listening.listen()  # so that nobody is refused while it starts
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
        listening.close()


def post(url: str, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_example_is_answered(url: str) -> None:
    assert post(url, "/get_value", {"key": EXAMPLE}) == (200, {"value": "lunmtp ftxemjfob pmo hwoya"})


def test_every_pair_is_there(url: str) -> None:
    for key, value in list(generate.pairs().items())[::500]:
        assert post(url, "/get_value", {"key": key}) == (200, {"value": value})


def test_an_unknown_key_is_said(url: str) -> None:
    assert post(url, "/get_value", {"key": str(uuid.uuid4())}) == (404, {"message": "the key was not found"})


@pytest.mark.parametrize("body", [{"key": "no uuid"}, {"key": str(uuid.uuid1())}, {"key": 7}, {}, [], None])
def test_what_is_no_key_is_said(url: str, body: Any) -> None:
    status, answer = post(url, "/get_value", body)
    assert (status, list(answer)) == (422, ["message"])


def test_nothing_can_be_written(url: str) -> None:
    assert post(url, "/set", {"key": EXAMPLE, "val": "new"})[0] == 403


def test_there_are_10_000_pairs_and_the_keys_are_version_4() -> None:
    keys = [uuid.UUID(key) for key in generate.pairs()]
    assert (len(keys), {key.version for key in keys}) == (10_000, {4})


def test_the_data_is_the_same_each_time() -> None:
    assert generate.pairs() == generate.pairs()


def test_the_generator_writes_a_database(tmp_path: Path) -> None:
    subprocess.run([sys.executable, HERE / "generate.py", tmp_path / "made.db"], check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["made.db"]
