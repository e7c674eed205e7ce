"""A post that one of several processes holds: who has locked its file. For those of one user on one machine.

The system lets go of a lock when its process dies, however that happens, but not while it is stopped. Whoever has held
the post and is silent is *deposed*: the post goes on in its next generation, which has files of its own. To create one
file that must not exist yet is what only one can do, so no two hold the newest generation; who holds an older one
notices before it does anything.

    app.sock.lock       locked by who holds the post; app.sock is where it can be met
    app.sock.1.lock     likewise, once the first was deposed, and app.sock.1

This file must not know what the post is for, nor open a socket.
"""

import os
import re
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from lru_cache.errors import AddressError

fcntl: Any = None
with suppress(ImportError):  # not there on Windows
    import fcntl

FOLDER = "cf_lru_cache"
LONGEST_PATH_BYTES = 100  # of a Unix socket's, which has 107 on Linux and 103 on macOS; generations take a few more
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")  # else what is at the path is a file
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_GENERATION = re.compile(r"[1-9][0-9]{0,5}")
_LOCK = ".lock"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


def path_of(argument: str, value: Any) -> Path:
    """Where the processes that give this name, or this path of a socket, meet. The folder is there, and is ours.

    TypeError, ValueError or AddressError, in the caller's words for the argument.
    """
    is_path = isinstance(value, os.PathLike)
    if is_path:
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a name or the path of a socket, not {value!r}"[:200])
    if "\0" in value:
        raise ValueError(f"{argument}: there is no such path as {value!r}"[:200])
    if is_path or os.sep in value or (os.altsep and os.altsep in value):
        path = Path(value).absolute()
        _require_room(argument, path)
    elif _NAME.fullmatch(value):
        path = _own_folder(argument) / f"{value}.sock"
    else:
        raise ValueError(
            f"{argument} must be a name of 1 to 64 letters, digits, '-', '_' and '.', or the path of a socket with a "
            f"{os.sep!r} in it, not {value!r}"[:200]
        )
    length = len(os.fsencode(path))
    if length > LONGEST_PATH_BYTES:
        raise AddressError(
            f"{argument}: the socket's path has {length} bytes, and {LONGEST_PATH_BYTES} are the most: {str(path)!r}; "
            "give a shorter name, or the path of a socket in another directory"
        )
    return path


def _require_room(argument: str, path: Path) -> None:
    """A directory that is ours to use, with nothing else at this path."""
    mode = 0
    with suppress(OSError):
        mode = path.stat().st_mode  # once: it may come and go
    if stat.S_ISDIR(mode):
        raise AddressError(f"{argument}: {str(path)!r} is a directory; give the path of a socket in it")
    if mode and HAS_UNIX_SOCKETS and not stat.S_ISSOCK(mode):
        raise AddressError(f"{argument}: {str(path)!r} is there, and is no socket; give a path where there is nothing")
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise AddressError(f"{argument}: {str(folder)!r} is no directory that this process can write to")
    if not _is_safe(folder):
        raise AddressError(
            f"{argument}: {str(folder)!r} is another user's, or everybody's, so others could pass for this cluster; "
            "give the path of a socket in a directory of this user"
        )


def _is_safe(folder: Path) -> bool:
    """Whether only this user, the system's, and a group that was given leave can put files there."""
    if not hasattr(os, "getuid"):
        return True
    found = folder.stat()
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o002


def _own_folder(argument: str) -> Path:
    """The directory of this user, which nobody else can write to or look into."""
    for each in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}" if hasattr(os, "getuid") else None):
        if each and Path(each).is_dir():
            _require_ours(argument, Path(each), 0o022)
            return _made(argument, Path(each) / FOLDER)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return _made(argument, Path(tempfile.gettempdir()) / f"{FOLDER}-{user}")


def _made(argument: str, folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _require_ours(argument, folder, 0o077)
    except AddressError:
        raise
    except OSError as error:
        raise AddressError(
            error.errno, f"{argument}: cannot use the directory {str(folder)!r}: {error.strerror or error}"
        ) from None
    return folder


def _require_ours(argument: str, folder: Path, refused: int) -> None:
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise AddressError(
            f"{argument}: {str(folder)!r} is not a directory of this user (uid {os.geteuid()}), so others could write "
            "to it; set XDG_RUNTIME_DIR to one that is, or give the path of a socket"
        )
    if stat.S_IMODE(found.st_mode) & refused:
        raise AddressError(
            f"{argument}: others can get at the directory {str(folder)!r} (mode {stat.S_IMODE(found.st_mode):o}): "
            f"chmod 700 {str(folder)!r}, or give the path of a socket elsewhere"
        )


class Post:
    """One process's view of the post at this path. For one thread, but for `forsake`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None  # the locked file
        self._generation = 0  # that is held, or was looked at last

    @property
    def path(self) -> Path:
        """Where its holder can be met, as far as we know."""
        return self._path_of(self._generation)

    @property
    def was_seized(self) -> bool:
        """Whether somebody was ever deposed, who may be there still."""
        return self._generation > 0

    def take(self) -> bool:
        """Hold the post, if nobody else does. OSError if that cannot be found out."""
        folder = self._path.parent
        with suppress(FileExistsError):
            folder.mkdir(0o700)  # somebody has tidied it up
        if not _is_safe(folder):
            raise AddressError(f"{str(folder)!r} is another user's by now, or everybody's")
        self._generation = self._newest()
        return self._lock(self._generation, 0)

    def depose(self) -> bool:
        """Hold the post's next generation, though somebody else holds this one; False if another was quicker."""
        return self._newest() == self._generation and self._lock(self._generation + 1, os.O_EXCL)

    def holder(self) -> object:
        """What is another each time that somebody comes to hold the post."""
        try:
            found = self._path_of(self._generation, _LOCK).stat()
        except OSError:
            return None
        return self._generation, found.st_ino, found.st_mtime_ns

    def is_held(self) -> bool:
        """Whether we hold the post, and have not been deposed."""
        try:
            return self._held is not None and self._is_current(self._held, self._generation)
        except OSError:
            return False

    def keep(self) -> None:
        """Let whoever tidies up by age see that the files are in use."""
        with suppress(OSError):
            os.utime(self._path_of(self._generation, _LOCK))

    def leave(self) -> None:
        """Hold it no longer."""
        if self._held is not None:
            with suppress(OSError):
                _unlock(self._held)  # a child that is being forked has the file open, too
        self.forsake()

    def forsake(self) -> None:
        """In the child of a fork: the lock is the parent's, who has the same file open."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _lock(self, generation: int, flags: int) -> bool:
        assert self._held is None
        path = self._path_of(generation, _LOCK)
        try:
            held = os.open(path, _FLAGS | flags, 0o600)
        except FileExistsError:
            return False
        try:
            if hasattr(os, "getuid") and os.fstat(held).st_uid != os.geteuid():
                raise AddressError(f"{str(path)!r} is not a file of this user")
            if _try_lock(held) and self._is_current(held, generation):
                self._generation, self._held = generation, held
                self.keep()
                self._tidy_up()
                return True
        finally:
            if self._held != held:
                os.close(held)
        return False

    def _is_current(self, held: int, generation: int) -> bool:
        try:
            found, ours = os.stat(self._path_of(generation, _LOCK)), os.fstat(held)  # noqa: PTH116 - quicker
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino) and self._newest() == generation

    def _newest(self) -> int:
        return max(self._generations(), default=0)

    def _generations(self) -> list[int]:
        """Those that there are files of, but for the first."""
        begin = self._path.name
        found = []
        for name in os.listdir(self._path.parent):  # noqa: PTH208 - Path.iterdir makes an object for each
            if name.startswith(f"{begin}.") and name.endswith(_LOCK):
                number = name[len(begin) + 1 : -len(_LOCK)]
                if _GENERATION.fullmatch(number):
                    found.append(int(number))
        return found

    def _path_of(self, generation: int, more: str = "") -> Path:
        number = f".{generation}" if generation else ""
        return self._path.with_name(f"{self._path.name}{number}{more}")

    def _tidy_up(self) -> None:
        """Those before are over for good: nobody can come to hold one while there is a newer one."""
        with suppress(OSError):
            for generation in {0, *self._generations()}:
                if generation < self._generation:
                    for more in ("", _LOCK):
                        with suppress(OSError):
                            self._path_of(generation, more).unlink()


def _try_lock(number: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock(number: int) -> None:
    if fcntl is not None:
        fcntl.flock(number, fcntl.LOCK_UN)
