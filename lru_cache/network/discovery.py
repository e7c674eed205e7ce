"""Discovery: a thread that asks for addresses, again and again, and keeps diallers for some or all of them.

An address that is gone from every answer is dialled no more; a link that there is to it stays until it ends. When
nobody can be asked, the last answer stays. This file must not know how addresses are found out, nor what links carry.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from lru_cache.log import logger
from lru_cache.network.address import ANY_HOST, Address
from lru_cache.network.alarm import Alarm
from lru_cache.network.choosing import choose, place_of
from lru_cache.network.client import GIVEN, MYSELF, Dialler
from lru_cache.network.peer import Peer
from lru_cache.network.sources import Source

ASK_SECONDS = 5.0  # between two times that a source is asked
DOWN = ("unreachable", "refused")
SHARE = 8  # nodes for which a source that costs all of them may be asked that often
SHORTEST_ASK_SECONDS = 0.5  # likewise, however many links come and go


class Discovery:
    """What is dialled of the addresses that were given, and of those that sources tell.

    `own` says where this node listens, `place` who it is where that is not known.
    """

    def __init__(
        self,
        given: Sequence[Address],
        sources: Sequence[Source],
        dial: Callable[[Address, str, Callable[[], None]], Dialler],
        own: Callable[[], Address | None],
        place: Callable[[], bytes],
    ) -> None:
        self._given = given
        self._sources = sources
        self._dial = dial
        self._own = own
        self._place = place
        self._answers: dict[str, list[Address]] = {}
        self._failed: dict[str, str] = {}  # the sources that could not be asked, and why
        self._diallers: dict[Address, Dialler] = {}
        self._leaving: list[Dialler] = []  # that dial no more, and may have a link still
        self._ask_at: dict[str, float] = {}  # when each source is to be asked again
        self._changed = False
        self._lost = False  # whether a link is over that was not dialled here
        self._stopped = False
        self._alarm = Alarm()
        self._thread = threading.Thread(target=self._run, name="lru_cache-discovery", daemon=True)

    def start(self) -> None:
        """Begin to ask, and to dial."""
        self._thread.start()

    def stop(self) -> None:
        """Dial no more."""
        self._stopped = True
        for dialler in self._all():
            dialler.stop()
        self._alarm.ring()

    def end(self, reason: str) -> None:
        """Stop, and let go of the links that there are."""
        self.stop()
        for dialler in self._all():
            dialler.end(reason)

    def join(self, seconds: float) -> None:
        """Wait for its threads, but for the calling one."""
        deadline = time.monotonic() + seconds
        if self._thread.ident is None:
            self._alarm.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(seconds)
        for dialler in self._all():
            dialler.join(max(0.0, deadline - time.monotonic()))

    def note_loss(self) -> None:
        """Perhaps the answers are others by now: they are asked for, once for all links that end meanwhile."""
        self._lost = True
        self._wake()

    def abandon(self) -> None:
        """Let go of what was inherited by a fork."""
        self._stopped = True
        for dialler in self._all():
            dialler.abandon()
        self._alarm.abandon()

    def peers(self) -> list[Peer]:
        """The addresses at which it looks for a node and has no link."""
        return [peer for dialler in list(self._diallers.values()) for peer in dialler.peers()]

    def _all(self) -> list[Dialler]:
        return [*self._diallers.values(), *self._leaving]

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._ask()
                self._settle()
            except Exception:  # noqa: BLE001 - ours, then; what there is goes on
                logger().exception("discovery failed because of a mistake of ours")
            self._wait()
        self._alarm.close()

    def _wait(self) -> None:
        now = time.monotonic()
        asks_at, earliest = now + ASK_SECONDS, now + SHORTEST_ASK_SECONDS
        while not self._stopped and now < asks_at:
            if self._changed or self._lost:
                asks_all, self._changed, self._lost = self._changed, False, False
                asks_at = min(asks_at, earliest)
                self._ask_anew(asks_all)
            self._alarm.wait(max(0.0, asks_at - now))
            now = time.monotonic()

    def _ask_anew(self, asks_all: bool) -> None:
        """Ask the sources at the next turn; those that cost all nodes something only where a link of ours has changed.

        Else all whom one node had dialled would do that together when it ends.
        """
        for source in self._sources:
            if asks_all or not source.costs_all:
                self._ask_at.pop(source.name, None)

    def _note_change(self) -> None:
        """A link is over, and perhaps its address, too; or has begun, and there may be others behind it."""
        self._changed = True
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            self._alarm.ring()

    def _ask(self) -> None:
        for source in self._sources:
            if self._stopped:
                return
            now = time.monotonic()
            if now < self._ask_at.get(source.name, 0.0):
                continue
            shares = len(self._answers.get(source.name, ())) / SHARE if source.costs_all else 0
            self._ask_at[source.name] = now + ASK_SECONDS * (max(1.0, shares) - 0.5)
            try:
                self._answers[source.name] = source.ask()
            except Exception as error:  # noqa: BLE001 - it may be the application's own
                said = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
                if self._failed.get(source.name) != said:
                    logger().warning("%s cannot be asked for addresses, the last ones stay: %s", source.name, said)
                self._failed[source.name] = said
            else:
                if self._failed.pop(source.name, None) is not None:
                    logger().info("%s can be asked for addresses again", source.name)

    def _settle(self) -> None:
        """Dial what is to be dialled by now, and nothing else."""
        found = dict.fromkeys(self._given, GIVEN)
        for source in self._sources:
            for address in self._answers.get(source.name, ()):
                found.setdefault(address, source.name)
        ours = self._ours(found)
        wanted = self._chosen([address for address in found if address not in ours], ours)
        for address, dialler in list(self._diallers.items()):
            if address not in found:
                self._retire(address, dialler)
        for address in wanted - self._diallers.keys():
            self._begin(address, found[address])
        surplus = self._diallers.keys() - wanted - ours
        if surplus and all(self._diallers[address].state == "connected" for address in wanted):
            for address in surplus:
                self._diallers[address].end("it is linked with enough others")
                self._retire(address, self._diallers[address])
        self._leaving = [dialler for dialler in self._leaving if dialler.is_alive]

    def _chosen(self, others: list[Address], ours: set[Address]) -> set[Address]:
        own = next(iter(ours), None)
        place = place_of(str(own).encode() if own is not None else self._place())
        down = {address for address, dialler in self._diallers.items() if dialler.state in DOWN}
        return choose(others, place) | choose([each for each in others if each not in down], place)

    def _begin(self, address: Address, source: str) -> None:
        dialler = self._dial(address, source, self._note_change)
        self._diallers[address] = dialler
        if self._stopped:
            dialler.stop()
        dialler.start()

    def _retire(self, address: Address, dialler: Dialler) -> None:
        dialler.stop()
        self._leaving.append(dialler)
        del self._diallers[address]

    def _ours(self, found: dict[Address, str]) -> set[Address]:
        """Which addresses lead to this very node: it listens there, or has met itself there."""
        own = self._own()
        ours = {address for address in found if own is not None and _is_at(address, own)}
        return ours | {a for a, dialler in self._diallers.items() if dialler.state == MYSELF and a in found}


def _is_at(address: Address, own: Address) -> bool:
    if address.path is not None or address.port != own.port:
        return address == own
    return address.host == own.host or (own.host in ANY_HOST and _is_of_this_machine(address.host))


def _is_of_this_machine(host: str) -> bool:
    with (
        suppress(OSError, UnicodeError),
        socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe,
    ):
        probe.bind((host, 0))
        return True
    return False
