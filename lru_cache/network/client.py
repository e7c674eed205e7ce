"""The client's side: a thread for each remote address, which dials it, runs the link, and dials again, for ever.

This file must not know what links carry, nor what makes a peer acceptable.
"""

import os
import random
import socket
import threading
import time
from logging import INFO, WARNING
from typing import Any

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


class Dialler:
    """One remote address."""

    def __init__(self, address: Address, exchange: Exchange, terms: Terms) -> None:
        self.address = address
        self.state = "connecting"
        self._exchange = exchange
        self._terms = terms
        self._longest_pause = min(LONGEST_PAUSE_SECONDS, terms.silence_seconds)
        self._alarm = Alarm()
        self._stopped = False
        self._peer_node = b""  # of the last one that answered here
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
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def abandon(self) -> None:
        """Let go of what was inherited by a fork: the thread is not in this process."""
        self._stopped = True
        self._alarm.abandon()

    def peer(self) -> Peer | None:
        """What is to be told of this address; None while there is a link, which has more to tell."""
        if self.state == "connected" or self._is_needless():
            return None
        return Peer(None, None, str(self.address), None, self.state, None, None, 0)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopped:
            began = time.monotonic()
            try:
                link = self._dial()
            except RefusedError as error:
                if not self._is_needless():
                    self._note("refused", f"no link to {self.address}: {error}")
            except (OSError, ProtocolError) as error:
                self._note("unreachable", f"cannot reach {self.address}: {_said(error)}; will go on trying")
            except Exception:  # noqa: BLE001 - ours, then; the next attempt may do better
                self.state = "unreachable"
                logger().exception("dialling %s failed because of a mistake of ours", self.address)
            else:
                self.state = "connected"
                logger().info("linked to %s", link)
                ending = link.run()
                self.state = "connecting"
                if not self._stopped:
                    level = INFO if ending.orderly or self._is_needless() else WARNING
                    logger().log(level, "the link to %s ended: %s", link, ending)
                if time.monotonic() - began > self._longest_pause:
                    pause = FIRST_PAUSE_SECONDS  # it was a good link, worth an early try
            self._wait_for_other_link()
            self._pause(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at one moment
            pause = min(2 * pause, self._longest_pause)
        self._alarm.close()

    def _dial(self) -> Link:
        failure: Exception = OSError("the name has no address")
        for family, where in resolve(self.address):
            refusal = self._terms.refusal(family, where)
            if refusal is not None:
                failure = RefusedError(refusal)
                continue
            try:
                return self._dial_one(family, where)
            except RefusedError:
                raise
            except (OSError, ProtocolError) as error:
                failure = error
        raise failure

    def _dial_one(self, family: socket.AddressFamily, where: Any) -> Link:
        deadline = time.monotonic() + self._terms.silence_seconds
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            self._connect(sock, where, deadline)
            context = self._terms.contexts.client if self._terms.contexts is not None else None
            greeting = self._terms.greet(Connection(sock, FRAME_LIMIT_BYTES, context), Side.DIALLER)
        except BaseException:
            sock.close()
            raise
        try:
            self._finish(greeting)
            self._peer_node = greeting.peer.node
            link = Link(self._exchange, greeting, shown(family, where), self._terms.silence_seconds)
            self._exchange.join(link)
        except (OSError, ProtocolError) as error:
            greeting.part(error)
            raise
        return link

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
        while not greeting.step():
            self._wait_for(connection.socket, greeting.deadline, connection.wants_write)

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

    def _wait_for_other_link(self) -> None:
        """One to this address would only be refused again."""
        while not self._stopped and self._is_needless():
            self.state = "connected"
            self._alarm.wait(self._longest_pause)

    def _is_needless(self) -> bool:
        """Whether there is another link to the node at this address, or it is this node itself."""
        return bool(self._peer_node) and self._exchange.is_linked_to(self._peer_node)

    def _pause(self, seconds: float) -> None:
        if not self._stopped:
            self._alarm.wait(seconds)

    def _note(self, state: str, line: str) -> None:
        """Log a change of state, once."""
        if self.state != state and not self._stopped:
            logger().warning("%s", line)
        self.state = state


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
