"""A local cluster: the caches of one user on this machine that give the same name. One listens, the others dial it.

Who listens holds the `Post`. It also listens for, and dials, the rest of the world, for all of them; when it ends,
whichever of the others is first takes all that over. Who is silent for too long is deposed.

This file must not know how a post is held, nor what links carry.
"""

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lru_cache import fork
from lru_cache.errors import ProtocolError
from lru_cache.log import logger
from lru_cache.network.address import Address
from lru_cache.network.client import Dialler, NeedlessError, said
from lru_cache.network.exchange import LOCAL_CLUSTER, Exchange
from lru_cache.network.greeting import Terms
from lru_cache.network.handshake import RefusedError
from lru_cache.network.peer import Peer
from lru_cache.network.post import HAS_UNIX_SOCKETS, Post
from lru_cache.network.server import Server
from lru_cache.network.transport import Dialling, Transport

FIRST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.25
SETTLING_SECONDS = 2 * LONGEST_PAUSE_SECONDS
LONGEST_CHECK_SECONDS = 1.0
CHECKS_IN_A_SILENCE = 10
KEEP_SECONDS = 3_600.0  # between two signs that the files are in use
PATIENCE = 0.9  # of the silence after which a neighbour is dead: who has the post and says nothing for so long loses it
GREETING = 0.5  # of it, for one attempt
LAST_GREETING = 0.1  # of it, at least, for the one after which who has the post loses it


class LocalCluster:
    """One cache's part in it.

    `local` and `regions` are the cluster's: whoever has the post listens at the one, and starts what the other makes.
    """

    def __init__(
        self,
        path: Path,
        exchange: Exchange,
        terms: Terms,
        local: Address | None,
        regions: Callable[[], list[Dialling]],
    ) -> None:
        self.leads = False
        self._leads_since = 0.0
        self._post = Post(path)
        self._exchange = exchange
        self._terms = terms
        self._local = local
        self._regions = regions
        self._silence_seconds = terms.silence_seconds
        self._longest_pause = min(LONGEST_PAUSE_SECONDS, terms.silence_seconds / CHECKS_IN_A_SILENCE)
        self._check_seconds = min(LONGEST_CHECK_SECONDS, terms.silence_seconds / CHECKS_IN_A_SILENCE)
        # Never started: this thread uses it.
        self._dialler = Dialler(Address(path=str(path)), exchange, terms, LOCAL_CLUSTER)
        self._stopped = False
        self._heard_at = time.monotonic()  # the last that we know of somebody in the post who is alive
        self._holder: object = None  # what was known of who has the post when we last looked
        self._wrong_since: float | None = None
        self._said = ""  # what was logged since all was well
        # Held where files and sockets are opened, and across a fork: else a child may have one unknowingly. Not
        # `opening`, which is the whole process's, since names are looked up under this one, which may take long.
        self._lock = threading.RLock()
        self._server: Server | None = None
        self._outer: Server | None = None
        self._diallers: list[Dialling] = []
        self._thread = threading.Thread(target=self._run, name=f"lru_cache-cluster-{path.name}", daemon=True)
        fork.watch(self)

    def start(self) -> None:
        """Begin to look for the others."""
        self._thread.start()

    def stop(self) -> None:
        """Take no part any more. The links are the exchange's to end."""
        self._stopped = True
        for each in (*self._transports(), self._dialler):
            each.stop()

    def join(self, seconds: float) -> None:
        """Wait for its threads, but for the calling one."""
        deadline = time.monotonic() + seconds
        if self._thread.ident is None:
            self._dialler.join(seconds)
        elif self._thread is not threading.current_thread():
            self._thread.join(seconds)
        if not self._thread.is_alive():
            for each in self._transports():  # of who has led to the end, and has left them to us
                each.join(max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """Let go of what was inherited by a fork: the post is the parent's."""
        self._stopped = True
        self._post.forsake()
        for each in self._transports():
            each.abandon()
        self._dialler.abandon()

    def peers(self) -> list[Peer]:
        """Where it looks for the others, or for other regions."""
        if self.leads:
            return [peer for dialler in list(self._diallers) for peer in dialler.peers()]
        return self._dialler.peers()

    @property
    def listening(self) -> Address | None:
        """Where this cache listens, if it does: for the world, or else for the cluster."""
        listening = (self._outer or self._server) if self.leads else None
        return None if listening is None else listening.address

    @property
    def is_settled(self) -> bool:
        """Whether the others have had the time to come, after it was found out who listens."""
        return not self.leads or time.monotonic() - self._leads_since > SETTLING_SECONDS

    def _after_fork_in_child(self) -> None:
        """Once more, if its cache has done that."""
        self.abandon()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopped:
            began = time.monotonic()
            try:
                done = self._turn()
            except (OSError, ProtocolError) as error:
                done = False
                self._dialler.state = "refused" if isinstance(error, RefusedError) else "unreachable"
                self._note(
                    f"the local cluster at {self._post.path} cannot be joined, and will be tried again: {said(error)}"
                )
            except Exception:  # noqa: BLE001 - ours, then; the next turn may do better
                done = False
                logger().exception("the local cluster at %s failed because of a mistake of ours", self._post.path)
            if done and time.monotonic() - began > self._longest_pause:
                pause = FIRST_PAUSE_SECONDS  # it went well for a while, so at once
                continue
            self._dialler.wait(pause)
            pause = min(2 * pause, self._longest_pause)
        self._dialler.join(0.0)

    def _turn(self) -> bool:
        """Lead or follow for as long as that goes well; False if it did not begin."""
        with self._lock:
            leads = self._post.take()
        if leads:
            self._lead()
            return True
        self._look_who_leads()
        began = time.monotonic()
        self._dialler.has_heard = False
        left = self._heard_at + self._silence_seconds * PATIENCE - began
        patience = min(max(left, self._silence_seconds * LAST_GREETING), self._silence_seconds * GREETING)
        try:
            address, terms = self._meeting(self._post.path)
            link = self._dialler.attempt(address, patience, terms)
        except NeedlessError:
            self._heard_at = began
            return False
        except (OSError, ProtocolError):
            if self._is_silent(began):
                return self._depose()
            raise
        self._all_is_well()
        self._dialler.carry(link)
        now = time.monotonic()
        self._heard_at = link.heard_at if now - link.heard_at < self._silence_seconds else now  # then we stood still
        return True

    def _look_who_leads(self) -> None:
        """Whoever has just come to lead is given time to listen."""
        holder = self._post.holder()
        if holder != self._holder:
            self._holder = holder
            self._heard_at = time.monotonic()

    def _is_silent(self, began: float) -> bool:
        """Whether who leads has said nothing for too long."""
        now = time.monotonic()
        if self._dialler.has_heard or now - began > self._silence_seconds * PATIENCE:  # then we stood still ourselves
            self._heard_at = now
        return now - self._heard_at > self._silence_seconds * PATIENCE

    def _depose(self) -> bool:
        with self._lock:
            leads = not self._stopped and self._post.depose()
        if not leads:
            return False  # another was quicker
        logger().warning("who listened for the local cluster is silent: another listens at %s", self._post.path)
        self._lead()
        return True

    def _lead(self) -> None:
        """Have the post, for as long as nobody takes it away."""
        kept_at = time.monotonic()
        pause = FIRST_PAUSE_SECONDS
        try:
            if self._stopped:
                return
            server = self._listen(self._post.path)
            self._leads_since = time.monotonic()
            self.leads = True  # before anybody is told our role
            server.start()
            self._all_is_well()
            logger().info("listening for the local cluster at %s", self._post.path)
            self._dial_regions()
            while not self._stopped and self._post.is_held() and self._post.path.exists():
                if self._local is not None and self._outer is None and not self._listen_outside(self._local):
                    pause = min(2 * pause, self._check_seconds)
                    self._dialler.wait(pause)
                    continue
                self._all_is_well()
                self._dialler.wait(self._check_seconds)
                if time.monotonic() - kept_at > KEEP_SECONDS:
                    kept_at = time.monotonic()
                    self._post.keep()
        finally:
            self._step_down()

    def _dial_regions(self) -> None:
        with self._lock:
            self._diallers = self._regions()
        for dialler in self._diallers:
            dialler.start()

    def _listen_outside(self, local: Address) -> bool:
        """Whether the port, or the path, was free. Who was deposed may still have it, and do nothing."""
        try:
            with self._lock:
                self._outer = Server(
                    local, self._exchange, self._terms, self._post.is_held, self._post.was_seized, self._note_loss
                )
        except OSError as error:
            self._note(f"the local cluster at {self._post.path} goes on trying to listen for others: {said(error)}")
            return False
        self._outer.start()
        return True

    def _note_loss(self) -> None:
        """A link is over that another region had dialled."""
        for dialler in list(self._diallers):
            dialler.note_loss()

    def _step_down(self) -> None:
        """Let go of the post, and before that of all that only its holder may have."""
        reason = "its cache was closed" if self._stopped else "another one listens for this local cluster now"
        self.leads = False
        deadline = time.monotonic() + self._silence_seconds
        try:
            for dialler in self._diallers:
                dialler.end(reason)
            for server in self._servers():
                server.end(reason, max(0.0, deadline - time.monotonic()))
        finally:
            with self._lock:
                self._post.leave()
        # Who closes waits for the rest, which it may be a part of: a listener that is told of a removal may close.
        if not self._stopped:
            for each in self._transports():
                each.join(max(0.0, deadline - time.monotonic()))
            self._server, self._outer, self._diallers = None, None, []
            self._heard_at = time.monotonic()

    def _servers(self) -> list[Server]:
        return [each for each in (self._server, self._outer) if each is not None]

    def _transports(self) -> list[Transport]:
        return [*self._servers(), *self._diallers]

    def _note(self, line: str) -> None:
        """Log what goes wrong, once, if it lasts: that one leads after another is none of it."""
        now = time.monotonic()
        if self._wrong_since is None:
            self._wrong_since = now
        if line != self._said and now - self._wrong_since >= self._check_seconds and not self._stopped:
            self._said = line
            logger().warning("%s", line)

    def _all_is_well(self) -> None:
        self._wrong_since, self._said = None, ""

    # -- where to meet: a Unix socket, or a file that says which port and secret ---------------------------------------

    def _listen(self, path: Path) -> Server:
        address, terms, secret = Address(path=str(path)), self._terms, ""
        if not HAS_UNIX_SOCKETS:
            secret = secrets.token_hex(32)
            address, terms = Address("127.0.0.1", 0), terms.with_secret(secret.encode())
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()  # what was left over: nobody but the holder of the post listens here
        with self._lock:
            self._server = server = Server(address, self._exchange, terms, self._post.is_held)
        if secret:
            _write(path, f"{server.address.port} {secret}")
        return server

    def _meeting(self, path: Path) -> tuple[Address, Terms]:
        """Whom to dial, and how. OSError if there is nobody yet, or it is somebody else's."""
        found = path.lstat()
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise PermissionError(f"{str(path)!r} is another user's")
        if stat.S_ISSOCK(found.st_mode):
            return Address(path=str(path)), self._terms
        port, _, secret = path.read_text().partition(" ")
        if not port.isdigit() or not secret:
            raise OSError(f"{str(path)!r} is no socket of a cache")
        return Address("127.0.0.1", int(port)), self._terms.with_secret(secret.encode())


def _write(path: Path, text: str) -> None:
    """A file that only this user can read, and that is there as a whole."""
    draft = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        draft.unlink()
    draft.touch(0o600, exist_ok=False)
    draft.write_text(text)
    draft.replace(path)
