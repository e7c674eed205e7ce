"""The post is held by one, whatever happens to processes and files; what cannot be used is said in one line."""

import os
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.processes import open_descriptors
from lru_cache import AddressError, LRUCacheDistributed
from lru_cache.network import post
from lru_cache.network.post import LONGEST_PATH_BYTES, Post, path_of
from tests.concurrency import PATIENCE, Started

Start = Callable[..., Started]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="locks and modes as POSIX has them"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, as a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="lru") as made:
        yield Path(made)


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "app.sock"


@pytest.fixture
def posts(path: Path) -> Iterator[Callable[[], Post]]:
    """Views of one post, as several processes have them: what locks a file is its being opened, not its process."""
    made: list[Post] = []

    def make() -> Post:
        made.append(Post(path))
        return made[-1]

    yield make
    for each in made:
        each.leave()


Posts = Callable[[], Post]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# -- taking and leaving ------------------------------------------------------------------------------------------------


def test_one_takes_it_and_others_do_not(posts: Posts) -> None:
    first, second = posts(), posts()
    assert first.take()
    assert first.is_held()
    assert not second.take()
    assert not second.is_held()


def test_who_leaves_makes_room(posts: Posts) -> None:
    first, second = posts(), posts()
    first.take()
    first.leave()
    assert not first.is_held()
    assert second.take()
    assert not first.take()


def test_who_left_may_come_again(posts: Posts) -> None:
    first = posts()
    for _ in range(3):
        assert first.take()
        first.leave()


def test_to_leave_what_one_does_not_hold_is_nothing(posts: Posts) -> None:
    first, second = posts(), posts()
    first.take()
    second.take()
    second.leave()
    assert first.is_held()


def test_a_refusal_opens_no_file_for_good(posts: Posts) -> None:
    first, second, third = posts(), posts(), posts()
    first.take()
    assert not second.take()
    assert not third.take()
    third.depose()
    before = open_descriptors()
    for _ in range(20):
        assert not second.depose()
        assert not Post(second.path).take()
    assert open_descriptors() == before


def test_its_files_are_this_user_s_alone(posts: Posts, folder: Path) -> None:
    posts().take()
    assert stat.S_IMODE((folder / "app.sock.lock").stat().st_mode) == 0o600


def test_a_lock_file_that_is_left_over_is_no_obstacle(posts: Posts, folder: Path) -> None:
    (folder / "app.sock.lock").touch()
    (folder / "app.sock.7.lock").touch()
    first, second = posts(), posts()
    assert first.take()
    assert first.path == folder / "app.sock.7"
    assert not second.take()


def test_another_holder_can_be_told_from_the_last(posts: Posts) -> None:
    first, second, third = posts(), posts(), posts()
    first.take()
    third.take()
    before = third.holder()
    assert third.holder() == before
    first.leave()
    while second.take() and third.holder() == before:
        second.leave()  # within one tick of the file system's clock
    third.take()
    assert third.holder() != before


# -- deposing ----------------------------------------------------------------------------------------------------------


def test_who_is_deposed_notices_and_does_not_come_back(posts: Posts) -> None:
    first, second = posts(), posts()
    first.take()
    second.take()
    assert second.depose()
    assert second.is_held()
    assert not first.is_held()
    first.leave()
    assert not first.take()


def test_the_next_generation_is_met_elsewhere(posts: Posts, folder: Path) -> None:
    first, second, third = posts(), posts(), posts()
    first.take()
    assert not first.was_seized
    second.take()
    second.depose()
    third.take()
    assert first.path == folder / "app.sock"
    assert second.path == third.path == folder / "app.sock.1"
    assert second.was_seized
    assert third.was_seized


def test_of_two_deposers_one_does(posts: Posts) -> None:
    first, second, third = posts(), posts(), posts()
    first.take()
    assert not second.take()
    assert not third.take()
    assert second.depose()
    assert not third.depose()
    assert second.is_held()


def before_the_next_lock(monkeypatch: pytest.MonkeyPatch, act: Callable[[], bool]) -> None:
    """Let another do that, and well, just before somebody locks a file."""
    lock = post._try_lock

    def lock_late(number: int) -> bool:
        monkeypatch.setattr(post, "_try_lock", lock)
        assert act()
        return lock(number)

    monkeypatch.setattr(post, "_try_lock", lock_late)


def test_a_deposer_who_is_overtaken_before_it_locks_does_not_hold(
    posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has made the file; another takes what looks like a post that nobody holds."""
    first, second, third = posts(), posts(), posts()
    first.take()
    second.take()
    before_the_next_lock(monkeypatch, third.take)
    assert not second.depose()
    assert third.is_held()
    assert not second.is_held()


def test_who_takes_what_is_deposed_in_the_same_moment_does_not_hold(
    posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = posts(), posts(), posts()
    first.take()
    second.take()
    first.leave()
    before_the_next_lock(monkeypatch, second.depose)
    assert not third.take()
    assert second.is_held()


def test_files_of_those_before_are_tidied_up(posts: Posts, folder: Path) -> None:
    first, second = posts(), posts()
    first.take()
    (folder / "app.sock").touch()
    for name in (
        "app.sock.3",
        "app.sock.3.lock",
        "app.sock.4.lock",
        "other.sock",
        "other.sock.lock",
        "app.sock.x.lock",
    ):
        (folder / name).touch()
    assert second.take()
    assert not first.is_held()
    assert names(folder) == {"app.sock.4.lock", "other.sock", "other.sock.lock", "app.sock.x.lock"}


def test_files_with_names_beyond_all_measure_are_none_of_it(posts: Posts, folder: Path) -> None:
    for name in ("app.sock.99999999999.lock", "app.sock.0.lock", "app.sock.01.lock", "app.sock.²3.lock"):
        (folder / name).touch()
    first = posts()
    assert first.take()
    assert first.path == folder / "app.sock"


# -- files that go away ------------------------------------------------------------------------------------------------


def test_who_holds_a_deleted_file_holds_nothing(posts: Posts, folder: Path) -> None:
    first, second = posts(), posts()
    first.take()
    (folder / "app.sock.lock").unlink()
    assert not first.is_held()
    assert second.take()
    assert not first.is_held()
    first.leave()
    assert second.is_held()


def test_a_file_that_is_deleted_while_it_is_locked_is_not_held(
    posts: Posts, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = posts()
    lock = post._try_lock

    def deleted_meanwhile(number: int) -> bool:
        (folder / "app.sock.lock").unlink()
        return lock(number)

    monkeypatch.setattr(post, "_try_lock", deleted_meanwhile)
    assert not first.take()


def test_a_directory_that_was_tidied_up_is_made_anew(posts: Posts, folder: Path) -> None:
    first = posts()
    first.take()
    (folder / "app.sock.lock").unlink()
    folder.rmdir()
    assert not first.is_held()
    first.leave()
    assert first.take()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_sign_of_life_is_left_for_who_tidies_up(posts: Posts, folder: Path) -> None:
    first = posts()
    first.take()
    os.utime(folder / "app.sock.lock", (1, 1))
    first.keep()
    assert (folder / "app.sock.lock").stat().st_mtime > 1


def test_a_file_of_another_user_is_not_held(posts: Posts, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "app.sock.lock").touch()
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    monkeypatch.setattr(post, "_is_safe", lambda _: True)
    with pytest.raises(AddressError, match=r"app\.sock\.lock' is not a file of this user"):
        posts().take()


def test_a_directory_that_became_another_user_s_is_not_used(posts: Posts, monkeypatch: pytest.MonkeyPatch) -> None:
    first = posts()
    uid = os.stat(first.path.parent).st_uid  # noqa: PTH116
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    if uid == 0:
        monkeypatch.setattr(post, "_is_safe", lambda _: False)
    with pytest.raises(AddressError, match="is another user's by now"):
        first.take()


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(posts: Posts, folder: Path) -> None:
    (folder / "precious").touch()
    (folder / "app.sock.lock").symlink_to(folder / "precious")
    with pytest.raises(OSError, match="symbolic links"):
        posts().take()


# -- many at once ------------------------------------------------------------------------------------------------------


class Ledger:
    """Who holds the post now, as the operating system arbitrates: a file that only one may create."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "held"

    def enter(self) -> None:
        os.close(os.open(self._path, os.O_CREAT | os.O_EXCL))

    def leave(self) -> None:
        self._path.unlink()


def test_of_many_threads_one_holds_it_at_a_time(posts: Posts, folder: Path, start: Start) -> None:
    ledger, held = Ledger(folder), [0] * 8

    def work(number: int) -> None:
        mine = posts()
        for _ in range(200):
            if mine.take():
                ledger.enter()
                held[number] += 1
                ledger.leave()
                mine.leave()

    for each in [start(work, number) for number in range(8)]:
        each.result()
    assert sum(held) > 0


def forked(act: Callable[[], Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        act()
    except BaseException:  # noqa: BLE001 - its status says so
        os._exit(1)
    os._exit(0)


def ended_well(children: list[int]) -> bool:
    return all(os.waitpid(child, 0)[1] == 0 for child in children)


def test_of_many_processes_one_holds_it_at_a_time_and_who_dies_lets_go(path: Path, folder: Path) -> None:
    ledger = Ledger(folder)

    def work() -> None:
        count = 0
        while count < 20:
            mine = Post(path)
            if not mine.take():
                continue
            ledger.enter()
            count += 1
            ledger.leave()
            if count % 2:
                mine.leave()
            else:
                mine.forsake()  # nobody else has the file open, so this is what the end of a process does

    assert ended_well([forked(work) for _ in range(6)])


def test_of_many_that_depose_each_other_the_newest_generation_has_one_holder(
    posts: Posts, folder: Path, start: Start
) -> None:
    made = [posts() for _ in range(8)]
    barrier = threading.Barrier(len(made))

    def work(mine: Post) -> bool:
        barrier.wait(PATIENCE)
        return mine.take() or mine.depose()

    for _ in range(30):
        working = [start(work, each) for each in made]
        results = [each.result() for each in working]
        assert any(results)
        holders = [each for each in made if each.is_held()]
        assert len(holders) == 1
        for each in made:
            each.leave()
    assert posts().take()
    assert len(names(folder)) == 1


def test_a_child_s_copy_of_the_lock_does_not_outlive_a_leave(posts: Posts) -> None:
    """In the moment before it has let go of it."""
    first, second = posts(), posts()
    first.take()
    reading, writing = os.pipe()

    def wait_to_be_told() -> None:
        os.close(writing)
        os.read(reading, 1)

    child = forked(wait_to_be_told)
    try:
        first.leave()
        assert second.take()
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_who_forsakes_it_in_a_child_takes_nothing_from_its_parent(posts: Posts) -> None:
    first, second = posts(), posts()
    first.take()
    assert ended_well([forked(first.forsake)])
    assert first.is_held()
    assert not second.take()


def test_a_killed_process_holds_nothing(path: Path, posts: Posts) -> None:
    reading, writing = os.pipe()

    def hold() -> None:
        held = Post(path)
        assert held.take()
        os.write(writing, b"x")
        signal.pause()

    child = forked(hold)
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    mine = posts()
    assert not mine.take()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert mine.take()


# -- names and paths ---------------------------------------------------------------------------------------------------


@pytest.fixture
def runtime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_a_name_lives_in_the_directory_of_this_user(runtime: Path) -> None:
    assert path_of("local_cluster", "app") == runtime / "cf_lru_cache" / "app.sock"
    assert stat.S_IMODE((runtime / "cf_lru_cache").stat().st_mode) == 0o700


@pytest.mark.parametrize("there", [None, "", "/there/is/no/such/directory"])
def test_without_one_it_is_a_directory_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch, there: Any) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if there is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", there)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    uid = 987_654  # of whom there is no /run/user
    monkeypatch.setattr(os, "getuid", lambda: uid)
    found = path_of("local_cluster", "app")
    assert found == folder / f"cf_lru_cache-{uid}" / "app.sock"
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700
    assert path_of("local_cluster", "app") == found


@pytest.mark.parametrize("name", ["a", "app-2_b.c", "A" * 64, "2"])
def test_names(runtime: Path, name: str) -> None:
    assert path_of("local_cluster", name).name == f"{name}.sock"


@pytest.mark.parametrize("name", ["", ".", "..", ".app", "a b", "a\nb", "ä", "a" * 65, "a:1", "~"])
def test_names_that_cannot_be(runtime: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^local_cluster must be a name of 1 to 64 letters") as caught:
        path_of("local_cluster", name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [3, b"app", True, ["app"], ("127.0.0.1", 5555)])
def test_what_is_no_name_at_all(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^local_cluster must be a name or the path of a socket, not "):
        path_of("local_cluster", value)


def test_a_path_is_taken_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_of("local_cluster", str(path)) == path
    assert path_of("local_cluster", path) == path
    monkeypatch.chdir(path.parent)
    assert path_of("local_cluster", "./app.sock") == path
    assert path_of("local_cluster", Path("app.sock")) == path, "a path object is no name"


@pytest.mark.parametrize("value", ["app\0", "/tmp/\0/app", "/tmp/a\0pp"])
def test_no_path_has_a_zero_in_it(value: str) -> None:
    with pytest.raises(ValueError, match=r"^local_cluster: there is no such path as "):
        path_of("local_cluster", value)


def test_a_path_that_is_too_long(folder: Path) -> None:
    longest = folder / ("a" * (LONGEST_PATH_BYTES - len(str(folder)) - 1))
    assert path_of("local_cluster", longest) == longest
    with pytest.raises(AddressError, match=r"^local_cluster: the socket's path has 101 bytes, and 100 are the most"):
        path_of("local_cluster", f"{longest}a")


def test_the_longest_path_has_room_for_generations(folder: Path) -> None:
    longest = folder / ("a" * (LONGEST_PATH_BYTES - len(str(folder)) - 1))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{longest}.999999")


def test_a_directory_in_its_place(folder: Path) -> None:
    with pytest.raises(AddressError, match=r"^local_cluster: .* is a directory; give the path of a socket in it$"):
        path_of("local_cluster", folder)


def test_a_file_in_its_place_is_not_touched(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(AddressError, match="is there, and is no socket"):
        LRUCacheDistributed(local_cluster=path)
    assert path.read_text() == "precious"


def test_a_directory_that_is_not_there(folder: Path) -> None:
    with pytest.raises(
        AddressError, match=r"^local_cluster: '.*/none' is no directory that this process can write to$"
    ):
        path_of("local_cluster", folder / "none" / "app.sock")


def test_a_directory_that_everybody_can_write_to(folder: Path) -> None:
    folder.chmod(0o1777)
    with pytest.raises(AddressError, match=r"^local_cluster: .* is another user's, or everybody's"):
        path_of("local_cluster", folder / "app.sock")


def test_a_directory_of_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    runtime_or_temporary = folder / "mine"
    runtime_or_temporary.mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_or_temporary))
    with pytest.raises(AddressError, match=rf"is not a directory of this user \(uid {uid + 1}\).*set XDG_RUNTIME_DIR"):
        path_of("local_cluster", "app")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_runtime_directory_that_others_can_write_to(runtime: Path, mode: int) -> None:
    runtime.chmod(mode)
    with pytest.raises(AddressError, match=f"others can get at the directory .*mode {mode:o}.*chmod 700"):
        path_of("local_cluster", "app")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777])
def test_our_directory_when_others_can_look_into_it(runtime: Path, mode: int) -> None:
    made = runtime / "cf_lru_cache"
    made.mkdir()
    made.chmod(mode)
    with pytest.raises(AddressError, match=f"others can get at the directory '{made}'"):
        path_of("local_cluster", "app")


def test_a_link_in_the_place_of_our_directory(runtime: Path, tmp_path: Path) -> None:
    (runtime / "cf_lru_cache").symlink_to(tmp_path)
    with pytest.raises(AddressError, match="is not a directory of this user"):
        path_of("local_cluster", "app")


def test_a_file_in_the_place_of_our_directory(runtime: Path) -> None:
    (runtime / "cf_lru_cache").touch()
    with pytest.raises(AddressError, match="local_cluster: cannot use the directory"):
        path_of("local_cluster", "app")


def test_what_is_wrong_is_said_when_the_cache_is_made() -> None:
    with pytest.raises(ValueError, match=r"^local_cluster must be a name"):
        LRUCacheDistributed(local_cluster="a b")
    with pytest.raises(AddressError, match="local_cluster"):
        LRUCacheDistributed(local_cluster="/there/is/no/such/directory/app.sock")
