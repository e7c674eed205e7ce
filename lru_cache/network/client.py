"""The client's side: a thread for each remote address, which dials it, runs the link, and dials again, for ever.

This file must not know what links carry, nor what makes a peer acceptable.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Callable
from logging import INFO, WARNING
from typing import Any

from lru_cache import fork
from lru_cache.errors import ProtocolError
from lru_cache.log import logger
from lru_cache.network.address import Address, resolve, shown
from lru_cache.network.alarm import Alarm
from lru_cache.network.connection import Connection
from lru_cache.network.exchange import Exchange
from lru_cache.network.greeting import Greeting, Terms
from lru_cache.network.handshake import FRAME_LIMIT_BYTES, RefusedError, Side
from lru_cache.network.link import Link
from lru_cache.network.peer import Peer

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
FORBEARANCE_SECONDS = 10.0  # before it is said that an address does not answer which somebody has told of
GIVEN = "given"  # how an address was found
MYSELF = "this is myself"  # a state, and what the log says


class NeedlessError(RefusedError):
    """Whoever answered is linked with already, or is this very node."""


class Dialler:
    """One remote address. If its name stands for several, each is tried until there is a link.

    `found`: how the address was found, for people. `on_change` is called when a link has begun, or ended.
    """

    def __init__(
        self,
        address: Address,
        exchange: Exchange,
        terms: Terms,
        found: str = GIVEN,
        on_change: Callable[[], object] | None = None,
    ) -> None:
        self.address = address
        self._found = found
        self._on_change = on_change
        self.state = "connecting"
        self._exchange = exchange
        self._terms = terms
        self._longest_pause = min(LONGEST_PAUSE_SECONDS, terms.silence_seconds)
        self._alarm = Alarm()
        self._stopped = False
        self._tried: set[Any] = set()  # the socket addresses of the last attempt
        self._answered: dict[Any, bytes] = {}  # the nodes that answered there
        self._has_met_itself = False
        self._patience = terms.silence_seconds  # with a node that was connected to, and does not greet
        self.has_heard = False  # whether anybody has said a word in the last attempt
        self._link: Link | None = None
        self._forbearance = 0.0 if found == GIVEN else FORBEARANCE_SECONDS
        self._noted = False  # whether a line was logged of the state that it is in
        self._changed_at = 0.0
        self._socket: socket.socket | None = None  # of the last attempt, for who must close it after a fork
        self._thread = threading.Thread(target=self._run, name=f"lru_cache-dial-{address}", daemon=True)

    def start(self) -> None:
        """Begin to dial."""
        self._thread.start()

    def stop(self) -> None:
        """Dial no more. The link, if there is one, is the exchange's to end."""
        self._stopped = True
        self._alarm.ring()

    def join(self, seconds: float) -> None:
        """Wait for the thread, if this is another one."""
        if self._thread.ident is None:
            self._alarm.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def end(self, reason: str) -> None:
        """Stop, and let go of the link that there is."""
        self.stop()
        link = self._link
        if link is not None:
            link.end(reason)

    def note_loss(self) -> None:
        """Its address stays, whoever is gone."""

    @property
    def is_alive(self) -> bool:
        """Whether its thread has not ended."""
        return self._thread.is_alive()

    def abandon(self) -> None:
        """Let go of what was inherited by a fork: the thread is not in this process."""
        self._stopped = True
        if self._socket is not None:
            self._socket.close()
        self._alarm.abandon()

    def peers(self) -> list[Peer]:
        """Its address, while there is no link that has more to tell."""
        if self.state == "connected" or self._has_other_link():
            return []
        if self.state == MYSELF and self._found != GIVEN:
            return []
        node = self._exchange.node.hex() if self.state == MYSELF else None
        return [Peer(node, None, str(self.address), None, self.state, None, None, 0, self._found)]

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopped:
            began = time.monotonic()
            try:
                link = self._dial()
            except NeedlessError:
                self.state = "connected" if self._has_other_link() else MYSELF
            except RefusedError as error:
                self._note("refused", f"no link to {self.address}: {error}")
            except (OSError, ProtocolError) as error:
                self._note("unreachable", f"cannot reach {self.address}: {said(error)}; will go on trying")
            except Exception:  # noqa: BLE001 - ours, then; the next attempt may do better
                self.state = "unreachable"
                logger().exception("dialling %s failed because of a mistake of ours", self.address)
            else:
                self.carry(link)
                if time.monotonic() - began > self._longest_pause:
                    pause = FIRST_PAUSE_SECONDS  # it was a good link, worth an early try
            self._wait_while_needless()
            self._pause(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at one moment
            pause = min(2 * pause, self._longest_pause)
        self._alarm.close()

    def carry(self, link: Link) -> None:
        """Be the thread of a link, until it ends."""
        self._link = link
        self.state = "connected"
        logger().info("linked to %s", link)
        if self._on_change is not None:
            self._on_change()
        if self._stopped:
            link.end("it is not wanted any more")
        ending = link.run()
        self._link = None
        self.state = "connecting"
        if self._on_change is not None:
            self._on_change()
        if not self._stopped:
            level = INFO if ending.orderly or self._has_other_link() else WARNING
            logger().log(level, "the link to %s ended: %s", link, ending)

    def attempt(self, address: Address, patience: float, terms: Terms) -> Link:
        """Dial once, for a thread that is not ours; OSError or ProtocolError if there is no link to be had."""
        self.address, self._patience, self._terms = address, patience, terms
        return self._dial()

    def wait(self, seconds: float) -> None:
        """Wait, for the same thread, unless this is stopped."""
        if not self._stopped:
            self._alarm.wait(seconds)

    def _dial(self) -> Link:
        failure: Exception | None = None
        needless: NeedlessError | None = None
        self._tried, self._answered, self.has_heard = set(), {}, False
        for family, where in resolve(self.address):
            self._tried.add(where)
            refusal = self._terms.refusal(family, where)
            try:
                if refusal is not None:
                    raise RefusedError(refusal)
                return self._dial_one(family, where)
            except NeedlessError as error:
                needless = error
            except (OSError, ProtocolError) as error:
                failure = error
            if self._stopped:
                break
        raise failure or needless or OSError("the name has no address")

    def _dial_one(self, family: socket.AddressFamily, where: Any) -> Link:
        deadline = time.monotonic() + self._patience
        with fork.opening:
            self._socket = sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            self._connect(sock, where, deadline)
            context = self._terms.contexts.client if self._terms.contexts is not None else None
            connection = Connection(sock, FRAME_LIMIT_BYTES, context)
            self._socket = connection.socket
            greeting = self._terms.greet(connection, Side.DIALLER)
        except BaseException:
            sock.close()
            raise
        try:
            self._finish(greeting)
            self._answered[where] = greeting.peer.node
            if greeting.peer.node == self._exchange.node:
                raise NeedlessError(MYSELF)
            return self._make_link(greeting, shown(family, where))
        except (OSError, ProtocolError) as error:
            greeting.part(error)
            if isinstance(error, NeedlessError) and greeting.peer.node == self._exchange.node:
                self._note_itself(shown(family, where))
            raise

    def _make_link(self, greeting: Greeting, shown_address: str) -> Link:
        feed = self._exchange.feed()
        link = Link(feed, greeting, shown_address, self._terms.silence_seconds, self._found)
        try:
            feed.join(link)
        except RefusedError as error:
            greeting.part(error)
            link.abandon()
            if self._exchange.is_linked_to(link.peer.node):
                raise NeedlessError(str(error)) from None
            raise
        return link

    def _note_itself(self, shown_address: str) -> None:
        if not self._has_met_itself and self._found == GIVEN:
            logger().warning("%s, an address of %s: %s; it is passed over", shown_address, self.address, MYSELF)
        self._has_met_itself = True

    def _connect(self, sock: socket.socket, where: Any, deadline: float) -> None:
        try:
            sock.connect(where)
        except (BlockingIOError, InterruptedError):
            self._wait_for(sock, deadline, writable=True)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error)) from None

    def _finish(self, greeting: Greeting) -> None:
        connection = greeting.connection
        deadline = min(greeting.deadline, time.monotonic() + self._patience)
        try:
            while not greeting.step():
                self._wait_for(connection.socket, deadline, connection.wants_write)
        finally:
            self.has_heard = self.has_heard or not greeting.is_unheard

    def _wait_for(self, sock: socket.socket, deadline: float, writable: bool) -> None:
        number = sock.fileno()
        self._alarm.watch(sock, writable)
        try:
            while not self._alarm.wait(max(0.0, deadline - time.monotonic())).get(number):
                if self._stopped:
                    raise OSError("this cache is closed")
                if time.monotonic() >= deadline:
                    raise TimeoutError("it did not answer in time")
        finally:
            self._alarm.unwatch(number)

    # -- between links -----------------------------------------------------------------------------------------------

    def _wait_while_needless(self) -> None:
        """A link to this address would only be refused again, unless its name stands for others by now."""
        while not self._stopped and self._is_needless():
            self.state = "connected" if self._has_other_link() else MYSELF
            self._alarm.wait(self._longest_pause)
            if not self._leads_where_it_did():
                return

    def _is_needless(self) -> bool:
        """Whether all that answered at this address are linked with, or are this node itself."""
        node, answered = self._exchange.node, self._answered
        return (
            bool(answered)
            and answered.keys() == self._tried
            and all(each == node or self._exchange.is_linked_to(each) for each in answered.values())
        )

    def _has_other_link(self) -> bool:
        """Whether there is a link to a node at this address, whoever has dialled it."""
        return any(self._exchange.is_linked_to(each) for each in self._answered.values())

    def _leads_where_it_did(self) -> bool:
        try:
            return {where for _, where in resolve(self.address)} == self._tried
        except OSError:
            return True

    def _pause(self, seconds: float) -> None:
        if not self._stopped:
            self._alarm.wait(seconds)

    def _note(self, state: str, line: str) -> None:
        """Log a change of state, once; of an address that may soon be gone, only if it lasts."""
        now = time.monotonic()
        if self.state != state:
            self._noted = False
            self._changed_at = now
        if not (self._noted or self._stopped) and now - self._changed_at >= self._forbearance:
            self._noted = True
            logger().warning("%s", line)
        self.state = state  # when the line is there: who sees the state may look for it


def said(error: Exception) -> str:
    """What went wrong, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
