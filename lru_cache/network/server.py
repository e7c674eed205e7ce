"""The server's side: one thread that accepts and greets; each link that comes of it gets a thread of its own.

Strangers are bounded in number, bytes and time, and cost no thread. This file must not know what links carry, nor what
makes a peer acceptable.
"""

import errno
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lru_cache import fork
from lru_cache.errors import AddressError, ProtocolError
from lru_cache.log import logger
from lru_cache.network.address import Address, shown
from lru_cache.network.alarm import Alarm
from lru_cache.network.connection import ClosedError, Connection
from lru_cache.network.exchange import Exchange
from lru_cache.network.greeting import Greeting, Terms
from lru_cache.network.handshake import FRAME_LIMIT_BYTES, RefusedError, Side
from lru_cache.network.limited_log import LimitedLog
from lru_cache.network.link import Link
from lru_cache.network.peer import Peer
from lru_cache.replication import Goodbye, encode_frame, messages

MOST_STRANGERS = 64  # connections whose greeting is not over; a newcomer takes the place of the oldest
MOST_LINKS = 200  # each is a thread, and what each says is told to all the others: beyond that, build a tree
BACKLOG = 4_096  # one too many at a moment waits for a second to try again; the system caps it
ACCEPTED_AT_ONCE = 64
PAUSE_SECONDS = 0.1  # when the process has no descriptors left
IDLE_SECONDS = 3_600.0


class Server:
    """Listens on one address from its construction on; AddressError if that cannot be.

    `may_accept` is asked before anybody is let in; when it says no, this listens no longer. `seizes`: it takes the
    address also from one like this, who has it and may not accept any more; a port only if that was made with
    `may_accept`, too. `on_loss` is called when a link has ended.
    """

    def __init__(
        self,
        address: Address,
        exchange: Exchange,
        terms: Terms,
        may_accept: Callable[[], bool] | None = None,
        seizes: bool = False,
        on_loss: Callable[[], object] | None = None,
    ) -> None:
        self._sockets, self.address = _listen(address, seizes)
        self._may_accept = may_accept
        self._on_loss = on_loss
        if may_accept is not None:
            _be_seizable(self._sockets)
        self._exchange = exchange
        self._terms = terms
        self._log = LimitedLog()
        self._alarm = Alarm()
        self._stopped = False
        self._strangers: dict[int, tuple[Greeting, str]] = {}  # by descriptor, oldest first
        self._newest: socket.socket | None = None  # that was accepted: perhaps it is nowhere else yet
        self._accepts_at = 0.0
        self._link_threads: set[threading.Thread] = set()
        self._links: set[Link] = set()
        self._inode = _inode(self.address)
        self._thread = threading.Thread(target=self._run, name=f"lru_cache-accept-{self.address}", daemon=True)

    is_settled = True  # nobody is about to come who was linked with another until now

    @property
    def listening(self) -> Address:
        """Where it does."""
        return self.address

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Accept no more. The links are the exchange's to end."""
        self._stopped = True
        self._alarm.ring()

    def end(self, reason: str, seconds: float) -> None:
        """Stop, wait until nobody can connect any more, and let go of the links that there are."""
        self.stop()
        if self._thread.ident is None:
            self._close_all()
        elif self._thread is not threading.current_thread():
            self._thread.join(seconds)
        for link in list(self._links):
            link.end(reason)

    def join(self, seconds: float) -> None:
        """Wait for its thread, and those of its links, but for the calling one."""
        if self._thread.ident is None:
            self._close_all()
            return
        deadline = time.monotonic() + seconds
        self._thread.join(seconds)  # first: it starts the others
        for thread in self._link_threads - {threading.current_thread()}:
            if thread.ident is not None:  # else it is being started, by a thread that did not end in time
                thread.join(max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """Close what was inherited by a fork: the socket file and the strangers are the parent's."""
        self._stopped = True
        for sock in self._sockets:
            sock.close()
        for greeting, _ in self._strangers.values():
            greeting.connection.close()
        if self._newest is not None:
            self._newest.close()
        for link in self._links:  # those that are just joining or parting no exchange knows
            link.abandon()
        self._alarm.abandon()

    def peers(self) -> list[Peer]:
        """It looks for nobody."""
        return []

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._turn_or_log()
        finally:
            self._close_all()

    def _close_all(self) -> None:
        self._close_sockets()
        for number in list(self._strangers):
            self._dismiss(number, ProtocolError("this cache is closed"), quiet=True)
        self._alarm.close()

    def _turn_or_log(self) -> None:
        try:
            self._turn()
        except Exception:  # noqa: BLE001 - ours, then; whoever comes next is let in all the same
            logger().exception("accepting at %s failed because of a mistake of ours", self.address)
            self._alarm.wait(PAUSE_SECONDS)

    def _turn(self) -> None:
        now = time.monotonic()
        accepts = now >= self._accepts_at
        for sock in self._sockets:
            self._alarm.watch(sock, readable=accepts)
        ready = self._alarm.wait(self._idle_seconds(now))
        if self._may_accept is not None and not self._may_accept():
            self._stopped = True
            return
        for number in [number for number in self._strangers if number in ready]:
            self._advance(number)
        self._dismiss_late()
        if accepts:
            for sock in self._sockets:
                if sock.fileno() in ready:
                    self._accept(sock)

    def _idle_seconds(self, now: float) -> float:
        due = min((greeting.deadline for greeting, _ in self._strangers.values()), default=now + IDLE_SECONDS)
        if self._accepts_at > now:
            due = min(due, self._accepts_at)
        return max(0.0, due - now)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                with fork.opening:
                    sock, where = listener.accept()
                    self._newest = sock
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory. The connection stays in the queue, and the poll would return at once.
                self._accepts_at = time.monotonic() + PAUSE_SECONDS
                self._log.warning("accept", f"cannot accept connections at {self.address}: {error.strerror}")
                return
            self._welcome(sock, where)

    def _welcome(self, sock: socket.socket, where: object) -> None:
        refusal = self._terms.refusal(sock.family, where)
        if refusal is not None:
            self._log.warning("outside", f"refused a connection to {self.address}: {refusal}")
            with suppress(OSError):
                sock.setblocking(False)
                sock.send(encode_frame(messages.encode(Goodbye(refusal)), FRAME_LIMIT_BYTES))
            sock.close()
            return
        address = shown(sock.family, where) if where else str(self.address)  # who dials a path has no address
        try:
            context = self._terms.contexts.server if self._terms.contexts is not None else None
            greeting = self._terms.greet(Connection(sock, FRAME_LIMIT_BYTES, context, accepted=True), Side.ACCEPTOR)
        except OSError:
            sock.close()  # it has gone again
            return
        if len(self._strangers) >= MOST_STRANGERS:
            oldest = next(iter(self._strangers))
            self._dismiss(oldest, ProtocolError("a newer connection took its place before it had greeted"))
        self._strangers[greeting.connection.socket.fileno()] = greeting, address
        self._advance(greeting.connection.socket.fileno())

    def _advance(self, number: int) -> None:
        greeting, address = self._strangers[number]
        try:
            done = greeting.step()
        except (ClosedError, BrokenPipeError, ConnectionResetError) as error:
            # Without a word: somebody looked whether anybody listens here, as we do before we replace a socket file.
            # And who comes to a path is a process of this user, which was closed meanwhile.
            self._dismiss(number, error, quiet=greeting.is_unheard or self.address.path is not None)
            return
        except (OSError, ProtocolError) as error:
            self._dismiss(number, error)
            return
        if done:
            try:
                self._admit(greeting, address)
            finally:
                self._forget(number)
        else:
            self._alarm.watch(greeting.connection.socket, greeting.connection.wants_write)

    def _admit(self, greeting: Greeting, address: str) -> None:
        feed = self._exchange.feed()
        link = Link(feed, greeting, address, self._terms.silence_seconds)
        self._links.add(link)  # before it waits for the cache's lock, which a fork may have
        try:
            if len(self._link_threads) >= MOST_LINKS:
                raise RefusedError(f"there are {MOST_LINKS} links already")
            feed.join(link)
        except RefusedError as error:
            self._links.discard(link)
            is_known = link.peer.node == self._exchange.node or self._exchange.is_linked_to(link.peer.node)
            if not is_known and not self._stopped:
                self._log.warning("refused", f"refused a link with {link}: {error}")
            greeting.part(error)
            link.abandon()
            return
        thread = threading.Thread(target=self._carry, args=(link,), name=f"lru_cache-link-{address}", daemon=True)
        self._link_threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._link_threads.discard(thread)
            self._links.discard(link)
            feed.leave()
            greeting.part(RefusedError("this process has no threads left"))
            link.abandon()

    def _carry(self, link: Link) -> None:
        try:
            logger().info("linked to %s", link)
            ending = link.run()
            if ending.orderly or self._exchange.is_linked_to(link.peer.node):
                logger().info("the link to %s ended: %s", link, ending)
            elif not self._stopped:
                self._log.warning("lost", f"the link to {link} ended: {ending}")
            if self._on_loss is not None and not self._stopped:
                self._on_loss()
        finally:
            self._links.discard(link)
            self._link_threads.discard(threading.current_thread())

    # -- strangers that stay so --------------------------------------------------------------------------------------

    def _dismiss_late(self) -> None:
        now = time.monotonic()
        late = [number for number, (greeting, _) in self._strangers.items() if now >= greeting.deadline]
        for number in late:
            self._dismiss(number, ProtocolError("it did not greet in time"))

    def _dismiss(self, number: int, error: Exception, quiet: bool = False) -> None:
        greeting, address = self._strangers[number]
        if not quiet:
            self._log.warning(type(error).__name__, f"refused {address}, which connected to {self.address}: {error}")
        greeting.part(error)
        self._forget(number)

    def _forget(self, number: int) -> None:
        del self._strangers[number]
        self._alarm.unwatch(number)

    def _close_sockets(self) -> None:
        path = self.address.path
        if path is not None and self._inode is not None and _inode(self.address) == self._inode:
            with suppress(OSError):
                Path(path).unlink()
        for sock in self._sockets:
            self._alarm.unwatch(sock.fileno())
            with fork.opening:
                sock.close()


def _listen(address: Address, seizes: bool) -> tuple[list[socket.socket], Address]:
    """Listening sockets for an address, and what it came to be: port 0 takes a free one."""
    try:
        sockets = (
            [_listen_at_path(address.path, seizes)] if address.path is not None else _listen_at_port(address, seizes)
        )
    except UnicodeError as error:
        raise AddressError(f"local_address: {address.host!r} is not a host's name: {error}") from None
    except OSError as error:
        said = error.strerror or str(error)
        raise AddressError(error.errno, f"local_address: cannot listen on {address}: {said}") from None
    for sock in sockets:
        sock.setblocking(False)
    return sockets, address if address.path is not None else address.with_port(sockets[0].getsockname()[1])


def _listen_at_port(address: Address, seizes: bool) -> list[socket.socket]:
    if not address.host:  # all interfaces
        if socket.has_dualstack_ipv6():
            with suppress(OSError):
                return [_bind(socket.AF_INET6, ("::", address.port), seizes, dual=True)]
        return [_bind(socket.AF_INET, ("0.0.0.0", address.port), seizes)]  # noqa: S104 - what the empty host asks for
    sockets: list[socket.socket] = []
    port = address.port
    found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, _, _, _, where in found:
            sockets.append(_bind(family, (where[0], port, *where[2:]), seizes))
            port = sockets[0].getsockname()[1]  # "localhost" with port 0: the same one for all of its addresses
    except OSError:
        if not sockets:
            raise
        # The name has another address here that has no interface, or where the port is taken: one is enough.
    return sockets


def _bind(family: int, where: object, seizes: bool, dual: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if seizes:
            _be_seizable([sock])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(where)  # type: ignore[arg-type]
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _be_seizable(sockets: list[socket.socket]) -> None:
    """Let another process of this user listen on the same port from here on, if it asks for that, too."""
    for sock in sockets:
        if sock.family != getattr(socket, "AF_UNIX", None) and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _listen_at_path(path: str, seizes: bool) -> socket.socket:
    """Listen on a Unix socket, for this user alone. A socket file that nobody listens on any more is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_behind(path, seizes):
                raise
            Path(path).unlink()
            sock.bind(path)
        Path(path).chmod(stat.S_IRUSR | stat.S_IWUSR)  # before it listens, so that nobody comes in between
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_left_behind(path: str, seizes: bool) -> bool:
    if not stat.S_ISSOCK(Path(path).stat().st_mode):
        return False
    if seizes:
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _inode(address: Address) -> tuple[int, int] | None:
    """Which file a socket's path is, so that nobody else's is unlinked."""
    if address.path is None:
        return None
    try:
        found = Path(address.path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
