"""A link: one neighbour's connection, with the thread that reads it, keeps it alive, and sends what is backed up.

    Link.run()     the link's own thread, to the end of the link
    Link.tell()    any thread that has just written: sends at once if that costs next to nothing, else rings
    Link.ring()    any thread: there is something to do

Locks: `_send_lock` makes frame, counter, seal and send one step, and under TLS, which is one state machine for both
directions, to receive another. Who holds it may take the cache's lock, never
the other way round. This file must not know rules: what to send and what to make of what came, the exchange says.
"""

import select
import threading
import time
from typing import TYPE_CHECKING

from lru_cache.errors import ProtocolError
from lru_cache.log import logger
from lru_cache.network.alarm import READABLE, Alarm
from lru_cache.network.connection import ClosedError
from lru_cache.network.greeting import Greeting
from lru_cache.network.handshake import Side, printable
from lru_cache.replication import Goodbye, Ping, Pong, messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from lru_cache.network.exchange import Exchange

BURST_SECONDS = 0.0003  # writes that follow each other faster than this are sent in batches
BURST_WRITES = 64  # of those make a batch that the writer sends by itself; what is left is the link's thread's
BURST_BATCHES = 4  # at most that a writer sends at once: it takes off more than it adds, else the outbox would overflow
LINGER_SECONDS = 0.001  # the link's thread leaves a burst to who writes for so long, since there will soon be more
SEEN_WITHIN_SECONDS = 0.005  # the protocol allows twice that
SEND_BYTES = 262_144  # at once
SLICE_BYTES = 8_192  # of these, asked for at once: the cache's lock is free in between
PINGS_IN_A_SILENCE = 3  # sent in the time after which the other side would take us for dead
SHORTEST_PING_SECONDS = 0.01  # whatever a peer says of its patience
PATIENCE = 0.9  # of the silence after which a neighbour is dead: it is to be noticed within that time
PARTING_SECONDS = 0.5  # at most, to hand over what is left and to hear that it has arrived


class EndedError(Exception):
    """A link has come to its end. `by_us`: the other side is to be told why. `orderly`: one of them meant it to end."""

    def __init__(self, reason: str, by_us: bool = True, orderly: bool = False) -> None:
        super().__init__(reason)
        self.by_us = by_us
        self.orderly = orderly


class Link:
    """One neighbour. Made when the greeting is over; `run` is for one thread, all else for any."""

    def __init__(self, exchange: "Exchange", greeting: Greeting, address: str, silence_seconds: float) -> None:
        self.peer = greeting.peer
        self.address = address
        self.dialled = greeting.handshake.side is Side.DIALLER
        self.half_trip = greeting.handshake.half_trip
        self.round_trip = 2 * self.half_trip
        self._exchange = exchange
        self._connection = greeting.connection
        self._alarm = Alarm()
        # Protects the connection's sending half and `_over`. One that knows its owner, to be let go however a signal's
        # handler has ended a send; nobody sends from within a send.
        self._send_lock = threading.RLock()
        self._is_sending: Callable[[], bool] = self._send_lock._is_owned  # type: ignore[attr-defined]  # this thread
        self._over = False
        self._told_at = 0.0  # when there was last a write, and when one that followed another fast
        self._hurried_at = 0.0
        self._hurried = 0  # writes in bursts, about: threads that write at once may be counted as one
        self._linger_until: float | None = None  # when the link's thread will look for news without being rung for
        self._failure: Exception | None = None  # what happened to another thread that was sending
        self._parting: str | None = None  # why we are to end it
        self._pong: int | None = None  # owed; only the latest, since a flood of pings deserves no memory
        self._silence_seconds = silence_seconds * PATIENCE
        wanted = min(silence_seconds, self.peer.silence_ms / 1000) / PINGS_IN_A_SILENCE
        self._ping_seconds = max(wanted, SHORTEST_PING_SECONDS)
        now = time.monotonic()
        self._heard_at = now
        self._ping_at = now + self._ping_seconds
        self._pings = 0
        self._pinged_at = now
        self._seen_at: float | None = None  # when a change of `seen` that nothing else carries is to be sent

    # -- for any thread ----------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Something was written: send it from this very thread, alone or with what else there is once that makes a
        batch; else let the link's thread do it.

        A thread in the background of a busy process waits milliseconds for the interpreter; the send takes
        microseconds. It never blocks and never raises what the network did.
        """
        connection = self._connection
        now = time.monotonic()
        hurried = now - self._told_at < BURST_SECONDS
        self._told_at = now
        if hurried or connection.wants_write:
            self._hurried_at = now
            self._hurried += 1
            if self._hurried % BURST_WRITES:
                # Whoever is sending, or waits for the socket to take more, or lingers, looks for news after that.
                if self._linger_until is None and not connection.wants_write:
                    self._alarm.ring()
                return
        if self._is_sending():
            self._alarm.ring()
            return
        try:
            sent = self._send_lock.acquire(False) and self._send_directly()
        except Exception as error:  # noqa: BLE001 - the link is broken, and its thread says so
            self._failure = error
            sent = False
        except BaseException:
            if self._is_sending():
                self._failure = EndedError("a signal interrupted a send")  # nobody knows how much of the frame is out
            self._alarm.ring()
            raise
        finally:
            try:
                self._let_go()
            finally:
                self._let_go()  # a signal may have come in there, too
        if not sent:
            self._alarm.ring()

    def _let_go(self) -> None:
        if self._is_sending():
            self._send_lock.release()

    def ring(self) -> None:
        """Let the link's thread see what there is to do."""
        self._alarm.ring()

    def end(self, reason: str) -> None:
        """Let the link's thread hand over what it has, say goodbye, and end."""
        self._parting = reason
        self._alarm.ring()

    def abandon(self) -> None:
        """Close what was inherited by a fork: without a word, since the link is the parent's."""
        self._over = True
        self._connection.close()
        self._alarm.abandon()

    @property
    def bytes_in(self) -> int:
        """Received so far."""
        return self._connection.bytes_in

    @property
    def bytes_out(self) -> int:
        """Sent so far."""
        return self._connection.bytes_out

    def __str__(self) -> str:
        region = f" in {self.peer.region}" if self.peer.region else ""
        return f"node {self.peer.node.hex()}{region} at {self.address}"

    def __repr__(self) -> str:
        return f"<Link to {self}>"

    # -- the link's thread -------------------------------------------------------------------------------------------

    def run(self) -> EndedError:
        """Carry messages until the link ends. Why it did."""
        reason = EndedError("a mistake of ours")
        try:
            self._take_bodies()  # those that came together with the end of the handshake
            while True:
                self._turn()
        except EndedError as error:
            reason = error
        except ClosedError as error:
            reason = EndedError(str(error), by_us=False)
        except ProtocolError as error:
            reason = EndedError(f"it broke the protocol: {error}")
        except OSError as error:
            reason = self._last_words() or EndedError(f"{error.strerror or error}", by_us=False)
        except Exception:  # noqa: BLE001 - ours, then; the link ends for it, and not the thread that dials anew
            logger().exception("the link to %s ends because of a mistake of ours", self)
        finally:
            self._exchange.leave(self)
            self._part(reason)
        return reason

    def _last_words(self) -> EndedError | None:
        """Sending failed, since the other side has closed: perhaps it had said why."""
        try:
            self._read()
        except EndedError as error:
            return error
        except (OSError, ProtocolError):
            pass
        return None

    def _turn(self) -> None:
        """Send what there is, wait, and read what came."""
        if self._failure is not None:
            raise self._failure
        if self._parting is not None:
            raise EndedError(self._parting, orderly=True)
        now = time.monotonic()
        self._exchange.upkeep(now)
        self._exchange.ring_all()
        busy = self._send(now)
        connection = self._connection
        self._alarm.watch(connection.socket, writable=connection.wants_write)
        wait = 0.0 if busy or connection.has_more else self._idle_seconds(time.monotonic())
        ready = self._alarm.wait(wait).get(connection.socket.fileno(), 0)
        if ready & READABLE or connection.has_more:
            self._read()
        elif time.monotonic() - self._heard_at > self._silence_seconds:
            # Only when nothing waits to be read: after a pause of our own it is we who were silent.
            raise EndedError(f"nothing came from it for {self._silence_seconds:.3g} s", by_us=False)

    def _idle_seconds(self, now: float) -> float:
        due = min(self._ping_at, self._heard_at + self._silence_seconds, self._exchange.next_upkeep)
        if self._linger_until is not None:
            due = min(due, self._linger_until)
        if self._seen_at is not None and not self._connection.wants_write:
            due = min(due, self._seen_at)  # else it waits for the socket like everything else, which may be minutes
        return max(0.0, due - now)

    # Reading.

    def _read(self) -> None:
        if self._connection.is_tls:
            with self._send_lock:
                self._connection.fill()
        else:
            self._connection.fill()
        self._heard_at = time.monotonic()
        self._take_bodies()

    def _take_bodies(self) -> None:
        took = False
        for body in self._connection.bodies:
            took = True
            message = self._exchange.received(self, body)
            if isinstance(message, Ping):
                self._pong = message.number
            elif isinstance(message, Pong) and message.number == self._pings:
                self.round_trip = time.monotonic() - self._pinged_at
                self._exchange.measured(self)
            elif isinstance(message, Goodbye):
                raise EndedError(f"it said goodbye: {printable(message.reason)}", by_us=False, orderly=True)
        if took:
            self._exchange.spread(self)

    # Sending.

    def _send(self, now: float) -> bool:
        """Send what is due. True if there is more, and room for it."""
        lingered = self._linger_until is not None and now >= self._linger_until
        if lingered:
            self._linger_until = None  # before looking at what there is: what comes after that rings
        news, seen = self._exchange.waiting(self)
        if news and not lingered and now - self._hurried_at < BURST_SECONDS and self._linger_until is None:
            self._linger_until = now + LINGER_SECONDS
        news = news and self._linger_until is None
        if not seen:
            self._seen_at = None
        elif self._seen_at is None:
            self._seen_at = now + SEEN_WITHIN_SECONDS
        is_due = self._seen_at is not None and now >= self._seen_at
        urgent = self._urgent(now)
        if not (news or is_due or urgent or self._connection.wants_write):
            return False
        with self._send_lock:
            self._connection.flush()
            if urgent:
                self._connection.send(urgent)
            if not self._connection.wants_write and (news or is_due):
                bodies = self._next_bodies()
                self._seen_at = None
                if bodies:
                    self._connection.send(bodies)
            return self._exchange.has_to_send(self) and not self._connection.wants_write and self._linger_until is None

    def _next_bodies(self) -> list[bytes]:
        bodies: list[bytes] = []
        size = 0
        while size < SEND_BYTES and (slice_ := self._exchange.to_send(self, SLICE_BYTES)):
            bodies += slice_
            size += sum(map(len, slice_))
        return bodies

    def _urgent(self, now: float) -> list[bytes]:
        """What goes ahead of everything else, so that a backlog never looks like a death."""
        bodies = []
        if self._pong is not None:
            bodies.append(messages.encode(Pong(self._pong)))
            self._pong = None
        if now >= self._ping_at:
            self._ping_at = now + self._ping_seconds
            self._pings += 1
            self._pinged_at = now
            bodies.append(messages.encode(Ping(self._pings)))
        return bodies

    def _send_directly(self) -> bool:
        """Send from another thread. False if there is something left for the link's own."""
        connection = self._connection
        if self._over or self._failure is not None:
            return False
        if connection.wants_write:
            connection.flush()
            if connection.unsent:
                return False
        for _ in range(BURST_BATCHES):
            bodies = self._exchange.to_send_directly(self)
            if not bodies:
                return bodies is not None
            connection.send(bodies)
            if connection.unsent:
                return False
            if not self._exchange.has_to_send(self):
                return True
        return self._linger_until is not None

    # The end.

    def _part(self, reason: EndedError) -> None:
        with self._send_lock:
            self._over = True
            if reason.by_us and self._failure is None:
                try:
                    self._say_goodbye(str(reason))
                except (OSError, ProtocolError):
                    pass  # it is gone already
        self._connection.close()
        self._alarm.close()

    def _say_goodbye(self, reason: str) -> None:
        """Hand over the rest of what was begun, and the reason; then read until the other side has closed, or a while.

        Closing with something unread makes the kernel throw away what the other side has not read yet.
        """
        connection, ends_at = self._connection, time.monotonic() + PARTING_SECONDS
        connection.send([messages.encode(Goodbye(reason))])
        closing = False
        while (left := ends_at - time.monotonic()) > 0:
            if not connection.wants_write and not closing:
                connection.finish_sending()
                closing = True
            self._alarm.watch(connection.socket, writable=connection.wants_write)
            if self._alarm.wait(left).get(connection.socket.fileno(), 0) & select.POLLOUT:
                connection.flush()
            else:
                connection.discard()
