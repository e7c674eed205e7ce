"""A link: one neighbour's connection, with the thread that reads it, keeps it alive, and sends what is backed up.

    Link.run()     the link's own thread, to the end of the link
    Link.send()    any thread that has news: sends at once if that takes no more than a moment, else leaves it to the
                   link's thread
    Link.wake()    any thread: there is something to do

Locks: `_send_lock` makes frame, counter, seal and send one step, and under TLS, which is one state machine for both
directions, to receive another. Who holds it may take the cache's lock, never the other way round.

This file must not know rules, nor other links: what to send and what to make of what came, its `Feed` says.
"""

import threading
import time
from typing import TYPE_CHECKING

from lru_cache.errors import ProtocolError
from lru_cache.log import logger
from lru_cache.network.alarm import READABLE, WRITABLE, Alarm
from lru_cache.network.connection import ClosedError
from lru_cache.network.feed import Feed
from lru_cache.network.greeting import Greeting
from lru_cache.network.handshake import Side, printable
from lru_cache.replication import Goodbye, Ping, Pong, messages, pace

if TYPE_CHECKING:
    from collections.abc import Callable

SEND_BYTES = 262_144  # at once
SLICE_BYTES = 8_192  # of these, asked for at once: the cache's lock is free in between
PINGS_IN_A_SILENCE = 3  # sent in the time after which the other side would take us for dead
DIALLER_S_SHARE = 0.95  # of the time between pings: so it is the dialler that pings an idle link, and both have spoken
MEASURE_SECONDS = 10.0  # at most between two pings, however much else is sent: they measure the round trip
SHORTEST_PING_SECONDS = 0.01  # whatever a peer says of its patience
LEAST_BYTES_A_SECOND = 32_768  # of a frame that takes longer than the silence
PATIENCE = 0.9  # of the silence after which a neighbour is dead: it is to be noticed within that time
ELBOW_SECONDS = 0.005  # at most that a writer in a burst waits for whoever is sending
PARTING_SECONDS = 0.5  # at most, to hand over what is left and to hear that it has arrived
_SEEN_IDLE, _SEEN_NEWS = int(pace.Seen.IDLE), int(pace.Seen.NEWS)


def uptime() -> float:
    """Seconds, also those for which this machine was suspended, where the system counts them."""
    return time.clock_gettime(_UPTIME)


_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class EndedError(Exception):
    """A link has come to its end. `by_us`: the other side is to be told why. `orderly`: one of them meant it to end."""

    def __init__(self, reason: str, by_us: bool = True, orderly: bool = False) -> None:
        super().__init__(reason)
        self.by_us = by_us
        self.orderly = orderly


class Link:
    """One neighbour. Made when the greeting is over; `run` is for one thread, all else for any."""

    is_live = True

    def __init__(
        self, feed: Feed, greeting: Greeting, address: str, silence_seconds: float, found: str = "accepted"
    ) -> None:
        self.peer = greeting.peer
        self.address = address
        self.found = found
        self.dialled = greeting.handshake.side is Side.DIALLER
        self.half_trip = greeting.handshake.half_trip
        self.round_trip = 2 * self.half_trip
        self._feed = feed
        self._connection = greeting.connection
        self._number = greeting.connection.socket.fileno()
        self._alarm = Alarm()
        self._waits_to_write: bool | None = None  # what the alarm was told to watch for; None: nothing yet
        # Protects the connection's sending half and `_over`. One that knows its owner, to be let go however a signal's
        # handler has ended a send; nobody sends from within a send.
        self._send_lock = threading.RLock()
        self._is_sending: Callable[[], bool] = self._send_lock._is_owned  # type: ignore[attr-defined]  # this thread
        self._over = False
        self._is_owed = False  # another thread has left something to the link's own
        self._failure: Exception | None = None  # what happened to another thread that was sending
        self._parting: str | None = None  # why we are to end it
        self._pong: bytes | None = None  # owed; only the latest, since a flood of pings deserves no memory
        self._silence_seconds = silence_seconds * PATIENCE
        wanted = min(silence_seconds, self.peer.silence_ms / 1000) / PINGS_IN_A_SILENCE
        wanted *= DIALLER_S_SHARE if self.dialled else 1.0
        self._ping_seconds = max(wanted, SHORTEST_PING_SECONDS)
        self._measure_seconds = max(MEASURE_SECONDS, self._ping_seconds)
        # When a ping may go with a pong: not at once, or two ends would answer each other for ever.
        self._measure_along_seconds = max(self._measure_seconds - self._ping_seconds, self._measure_seconds / 2)
        self._pings = 0
        self._heard_at = self._judged_at = self._sent_at = self._pinged_at = time.monotonic()
        self._bytes_heard = self.bytes_in
        self._awake_at = uptime()  # when the link's thread last looked at the clock

    # -- for any thread ----------------------------------------------------------------------------------------------

    def send(self, batches: int, now: float) -> None:
        """Send what there is from the calling thread, up to so many batches; what takes more than a moment is left to
        the link's thread.

        A thread in the background of a busy process waits milliseconds for the interpreter; the send takes
        microseconds. It does not wait for the network and never
        raises what that did.
        """
        if self._is_sending():  # a finalizer within a send
            self._leave_to_thread()
            return
        if batches == 1 and self._connection.wants_write:
            self._is_owed = True
            if self._connection.wants_write:
                return  # the link's thread waits for the socket to take more, and then looks what it owes
        try:
            may_send = self._send_lock.acquire(False) or (batches > 1 and self._wait_to_send())
            is_done = may_send and self._send_directly(batches, now)
        except Exception as error:  # noqa: BLE001 - the link is broken, and its thread says so
            self._failure = error
            is_done = False
        except BaseException:
            if self._is_sending():
                self._failure = EndedError("a signal interrupted a send")  # nobody knows how much of the frame is out
            self._leave_to_thread()
            raise
        finally:
            try:
                if self._is_sending():
                    self._send_lock.release()
            finally:
                if self._is_sending():  # a signal may have come in there, too
                    self._send_lock.release()
        if not is_done:
            self._leave_to_thread()

    def _wait_to_send(self) -> bool:
        """Let who has the lock go on, for a moment, and take it.

        That thread may only lack the interpreter, and a writer in a burst, which has it, would meanwhile fill the
        outbox. But not where the socket is full.
        """
        return not self._connection.wants_write and self._send_lock.acquire(timeout=ELBOW_SECONDS)

    def _leave_to_thread(self) -> None:
        self._is_owed = True
        self._alarm.ring()

    def wake(self) -> None:
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
    def heard_at(self) -> float:
        """When something came last, by a monotonic clock."""
        return self._heard_at

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
            self._receive_all()  # those that came together with the end of the handshake
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
            self._feed.leave()
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
        self._feed.carry_out(now)
        is_busy = self._send_rest(now)
        connection = self._connection
        if connection.wants_write is not self._waits_to_write:
            self._waits_to_write = connection.wants_write
            self._alarm.watch(connection.socket, writable=connection.wants_write)
        if is_busy or connection.has_more:
            self._wait(0.0)
            return
        due = self._feed.due()
        while self._wait(self._idle_seconds(due)) and self._answers_alone(due):
            pass

    def _wait(self, seconds: float) -> bool:
        """Wait, and read what came. Whether that was pings, and nobody has woken this thread for anything else."""
        connection = self._connection
        ready = self._alarm.wait(seconds).get(self._number, 0)
        self._require_awake(time.clock_gettime(_UPTIME))
        if ready & READABLE or connection.has_more:
            return self._read() and not self._alarm.has_rung
        if time.monotonic() - self._heard_at > self._silence_seconds:
            # Only when nothing waits to be read: who reads late has no reason to blame the other side.
            raise EndedError(f"nothing came from it for {self._silence_seconds:.3g} s", by_us=False)
        return False

    def _answers_alone(self, due: float) -> bool:
        """Answer the ping that has come, if it is time for nothing else. Else it is left to the next turn.

        On an idle link that is most of what there is to do. A turn looks at much more, and nothing of it is in a
        processor's cache by then.
        """
        now, connection = time.monotonic(), self._connection
        with self._send_lock:
            if (
                self._is_owed
                or connection.has_more
                or connection.wants_write
                or now >= min(due, self._pinged_at + self._measure_along_seconds)
                or now - self._feed.sent_at >= pace.SEEN_WHEN_IDLE_SECONDS
            ):
                return False
            self._sent_at = now
            connection.send(self._urgent(now))
            return not connection.wants_write

    def _idle_seconds(self, due: float) -> float:
        due = min(self._ping_due(), self._heard_at + self._silence_seconds, due)
        return max(0.0, due - time.monotonic())

    def _ping_due(self) -> float:
        return min(self._sent_at + self._ping_seconds, self._pinged_at + self._measure_seconds)

    def _require_awake(self, now: float) -> None:
        """End the link if this process stood still for as long as makes a neighbour dead.

        The life that a value has left is told when it is sent, and counts from when it is received. So what has waited
        here meanwhile would live too long. It is not read; the next link's resync tells what is still alive.
        """
        stood_still, self._awake_at = now - self._awake_at, now
        if stood_still > self._silence_seconds:
            raise EndedError(
                f"this process stood still for {stood_still:.3g} s, so what came meanwhile is dropped unread, "
                "and a new link is made"
            )

    # Reading.

    def _read(self) -> bool:
        """Whether nothing but pings came."""
        connection = self._connection
        if connection.is_tls:
            with self._send_lock:
                connection.fill()
        else:
            connection.fill()
        return self._receive_all()

    def _receive_all(self) -> bool:
        """Whether it was nothing but pings, as we write them."""
        body = None
        are_pings = True
        for body in self._connection.bodies:
            self._require_awake(time.clock_gettime(_UPTIME))
            pong = messages.pong_to(body)
            if pong is not None:
                self._pong = pong
                continue
            are_pings = False
            message = self._feed.received(body)
            if message is None:
                continue
            if isinstance(message, Ping):
                self._pong = messages.encode(Pong(message.number))
            elif isinstance(message, Pong) and message.number == self._pings:
                self.round_trip = time.monotonic() - self._pinged_at
                self._feed.measured(self.round_trip / 2)
            elif isinstance(message, Goodbye):
                raise EndedError(f"it said goodbye: {printable(message.reason)}", by_us=False, orderly=True)
        arrived, self._bytes_heard = self.bytes_in - self._bytes_heard, self.bytes_in
        if body is None:
            self._wait_for_the_rest(arrived, time.monotonic())
            return False
        self._heard_at = self._judged_at = time.monotonic()
        self._feed.pass_on()
        return are_pings

    def _wait_for_the_rest(self, arrived: int, now: float) -> None:
        """Bytes of an unfinished message are no sign of life; for the sake of long ones each buys some patience.

        A frame whose length was damaged on its way would else swallow all that comes behind it, for as long as it takes
        to fill. Of one that takes long, what is here is looked at, now and then.
        """
        self._heard_at = min(self._heard_at + arrived / LEAST_BYTES_A_SECOND, now)
        if now - self._judged_at > self._silence_seconds / 2:
            self._judged_at = now
            self._connection.require_plausible()

    # Sending.

    def _send_rest(self, now: float) -> bool:
        """Send what others have not sent, and what keeps the link alive. True if there is more, and room for it."""
        connection, feed = self._connection, self._feed
        is_owed, self._is_owed = self._is_owed, False  # before looking at what there is
        urgent = self._urgent(now)
        if not (urgent or connection.wants_write or self._is_due(is_owed, now)):
            return False
        with self._send_lock:
            connection.flush()
            is_full = connection.wants_write
            is_owed = is_owed or self._is_owed  # by who came while the socket was full
            # In one send with what is urgent: one system call, and the other end wakes once.
            bodies = urgent if is_full or not self._is_due(is_owed, now) else urgent + self._next_bodies(now)
            if bodies:
                self._sent_at = now
                connection.send(bodies)
            if is_full:
                self._is_owed = is_owed
                return False
            return not connection.wants_write and feed.has_news and not feed.is_held_back

    def _is_due(self, is_owed: bool, now: float) -> bool:
        """Whether this thread is to send news, or else changes of our `seen`."""
        feed = self._feed
        if feed.has_news:
            return is_owed or not feed.is_held_back
        waiting = feed.seen_waits()
        if waiting == _SEEN_NEWS:
            return is_owed  # else all links are told together, when `Pace` says so
        return waiting == _SEEN_IDLE and now - feed.sent_at >= pace.SEEN_WHEN_IDLE_SECONDS

    def _next_bodies(self, now: float) -> list[bytes]:
        bodies: list[bytes] = []
        size = 0
        while size < SEND_BYTES and (slice_ := self._feed.next_messages(SLICE_BYTES, now)):
            bodies += slice_
            size += sum(map(len, slice_))
        return bodies

    def _urgent(self, now: float) -> list[bytes]:
        """What goes ahead of everything else, so that a backlog never looks like a death."""
        bodies = self._feed.pop_urgent()
        ping_due = self._ping_due()
        if self._pong is not None:
            bodies.append(self._pong)
            self._pong = None
            # That is something said. A ping that is to measure goes with it rather than wake this thread by itself.
            ping_due = self._pinged_at + self._measure_along_seconds
        if now >= ping_due:
            self._feed.heartbeat(now)
            self._pings += 1
            self._pinged_at = now
            bodies.append(messages.encode(Ping(self._pings)))
        return bodies

    def _send_directly(self, batches: int, now: float) -> bool:
        """Send from another thread. False if there is something left for the link's own."""
        connection, feed = self._connection, self._feed
        if self._over or self._failure is not None:
            return False
        if connection.wants_write:
            connection.flush()
            if connection.wants_write:
                return False
        bodies = feed.next_at_once(now)
        if not bodies:
            return bodies is not None
        if batches > 1:
            self._add_batches(bodies, batches - 1, now)
        self._sent_at = now
        connection.send(bodies)
        # What others write meanwhile they leave to the link's thread, since this one has the lock.
        return not (connection.wants_write or feed.has_rest)

    def _add_batches(self, bodies: list[bytes], batches: int, now: float) -> None:
        size = sum(map(len, bodies))
        for _ in range(batches):
            more = self._feed.next_at_once(now) if size < SEND_BYTES else None
            if not more:
                return
            bodies += more
            size += sum(map(len, more))

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
            if self._alarm.wait(left).get(connection.socket.fileno(), 0) & WRITABLE:
                connection.flush()
            else:
                connection.discard()
