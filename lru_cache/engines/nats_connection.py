"""One connection with a NATS server, for a thread that may block: nats-py knows tasks alone, so a thread here runs it.

That thread has an event loop of its own, which ends with the connection. nats-py is asked for as little as can be: to
connect, to request and to publish. It never connects anew by itself, and what it has to report is told as the
connection's failure, once, and not logged.

This file must not know what is asked of the server, nor what a log is.
"""

import asyncio
import os
import re
import selectors
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, NoRespondersError, StaleConnectionError, UnexpectedEOF

from lru_cache.engines.engine import DeniedError, EngineError, Refusal
from lru_cache.network.address import Address

ANSWER_SECONDS = 2.0  # within which the server answers, or it is away
GOODBYE_SECONDS = 0.5  # for what is said before a connection is closed
PING_SECONDS = 20  # two of them unanswered, and the connection is gone
SHOWN_CHARACTERS = 200
LOST = "the connection was lost"

Result = TypeVar("Result")
Received = Callable[[Msg], None]

_abandoned: list[object] = []  # what was inherited by a fork: if it were collected, asyncio would complain


class UnansweredError(EngineError):
    """Nobody is there who would answer this request; the server itself says so."""


class _Loop(asyncio.SelectorEventLoop):
    """It dials what may be dialled, whatever nats-py asks for, and remembers what there is to close.

    Names are looked up in this thread, which has nothing else to do before it is connected: asyncio would do so in
    threads that the interpreter waits for when it exits.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.selector = selectors.DefaultSelector()
        super().__init__(self.selector)
        self.set_exception_handler(lambda *_: None)  # what fails is the connection's failure, and logged by who has it
        self.refusal = refusal
        self.deadline = 0.0
        self.error: EngineError | None = None  # why the server could not be dialled
        self.is_encrypted = False
        self.sockets: list[socket.socket] = []
        self.transports: list[asyncio.Transport] = []

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:  # type: ignore[override]
        if self.error is not None:  # nats-py tries twice
            raise self.error
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.error = EngineError(f"{host}: {_words(error)}")
            raise self.error from None
        for tried, (family, kind, protocol, _name, where) in enumerate(found):
            reason = self.refusal(family, where)
            if reason is not None:
                self.error = self.error or DeniedError(reason)
                continue
            dialled = socket.socket(family, kind, protocol)
            try:
                dialled.setblocking(False)
                seconds = (self.deadline - time.monotonic()) / (len(found) - tried)
                await asyncio.wait_for(self.sock_connect(dialled, where), seconds)
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except (OSError, asyncio.TimeoutError) as error:
                dialled.close()
                self.error = EngineError(_words(error))
                continue
            except BaseException:
                dialled.close()
                raise
            self.error = None
            self.sockets.append(dialled)
            made = await super().create_connection(factory, sock=dialled)
            self.transports.append(made[0])
            return made
        self.error = self.error or EngineError(f"{host}: no address")
        raise self.error

    async def start_tls(self, *arguments: Any, **options: Any) -> Any:
        encrypted = await super().start_tls(*arguments, **options)
        self.is_encrypted = True
        return encrypted

    def abandon(self) -> None:
        """Close the descriptors, and nothing else: what the kernel knows of them is another process's as well.

        `close` would take them out of the selector, which is that process's too.
        """
        _abandoned.append(self)
        for each in self.sockets:
            with suppress(OSError):
                os.close(each.detach())
        self.selector.close()
        for name in ("_ssock", "_csock"):  # the pipe that wakes it
            pipe = getattr(self, name, None)
            if pipe is not None:
                pipe.close()


class _Client(Client):
    """nats-py's, which would send a password to whoever says that no encryption is needed."""

    must_be_encrypted = False

    def _connect_command(self) -> bytes:
        loop = asyncio.get_running_loop()
        if self.must_be_encrypted and not (isinstance(loop, _Loop) and loop.is_encrypted):
            raise Error("nats: it does not encrypt")
        return super()._connect_command()


class Connection:
    """Made without asking for anything. Its methods are for one thread, but for `abandon` and `later`.

    Only the thread of the loop sets `failure`; whoever sees it set sees it whole.
    """

    def __init__(self, name: str, refusal: Refusal, failed: Callable[[], None]) -> None:
        self.failure: EngineError | None = None
        self.version = (0, 0)  # of the server
        self.max_payload = 0  # bytes of a message that it takes
        self._name = name  # what the server's people see
        self._failed = failed  # called in the loop's thread
        self._client = _Client()
        self._loop = _Loop(refusal)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._is_open = False
        self._goodbye: tuple[str, bytes] | None = None
        self._thread = Thread(target=self._run, name="lru_cache-nats", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise EngineError("no thread can be started") from None

    # -- for who uses it ---------------------------------------------------------------------------------------------

    def open(
        self, host: Address, tls: ssl.SSLContext | None, must_encrypt: bool, who: dict[str, Any], until: float
    ) -> None:
        """Dial a server, and say who we are: with nats-py's arguments for that."""
        if (reason := _why_unusable(who.get("user_credentials"))) is not None:
            raise DeniedError(f"the file of credentials cannot be used: {reason}")
        seconds = until - time.monotonic()
        if seconds <= 0:
            raise EngineError("no time was left to connect")
        where = f"[{host.host}]" if ":" in host.host else host.host
        self._loop.deadline = until
        self._client.must_be_encrypted = must_encrypt
        work = self._connect(f"{'tls' if must_encrypt else 'nats'}://{where}:{host.port}", tls, who, seconds)
        self._wait_for(work, seconds)

    def request(
        self, subject: str, content: bytes, headers: dict[str, str] | None = None, seconds: float = ANSWER_SECONDS
    ) -> bytes:
        """What the server answers."""
        return self._wait_for(self._request(subject, content, headers, seconds), seconds)

    def subscribe(self, received: Received) -> str:
        """A subject at which only we hear. What comes there is given to a function, in the loop's thread."""
        return self._wait_for(self._subscribe(received), ANSWER_SECONDS)

    def later(self, act: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Begin this in the loop's thread. If it fails, so has the connection."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self.begin, act, *arguments)

    def begin(self, act: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Likewise, in the loop's thread."""
        self._loop.create_task(self._act(act(*arguments)))

    async def publish(self, subject: str, content: bytes, answer_to: str = "") -> None:
        """Send this, in the loop's thread."""
        await self._client.publish(subject, content, reply=answer_to)

    def fail(self, error: EngineError) -> None:
        """It is of no use any more, as was found in the loop's thread."""
        if self.failure is None:
            self.failure = error
            if not self._broken.done():
                self._broken.set_result(None)
            self._failed()

    def check(self) -> None:
        """Raise if it has failed. Not every release of nats-py calls us back for all ways to lose a connection."""
        if self.failure is not None:
            raise type(self.failure)(*self.failure.args)
        if self._is_open and self._client.is_closed:
            raise EngineError(LOST)

    def end(self, goodbye: tuple[str, bytes] | None = None) -> None:
        """Send this as the last, and close it. Its thread ends with it, unless a name is just being looked up."""
        self._goodbye = goodbye
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_finish, self._ended)
        self._thread.join(3 * GOODBYE_SECONDS)

    def abandon(self) -> None:
        """Let go of what was inherited by a fork. The thread was not."""
        _abandoned.append(self)
        self._loop.abandon()

    # -- in the loop's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        loop = self._loop
        try:
            loop.run_until_complete(self._ended)
            loop.run_until_complete(self._close())
        finally:
            for transport in loop.transports:
                transport.abort()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _close(self) -> None:
        with suppress(Exception):
            await asyncio.wait_for(self._say_goodbye(), GOODBYE_SECONDS)

    async def _say_goodbye(self) -> None:
        if self._goodbye is not None and self._client.is_connected:
            await self.publish(*self._goodbye)
            await self._client.flush(1)
        await self._client.close()

    async def _act(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (Error, OSError) as error:
            self.fail(EngineError(_words(error)))

    async def _connect(self, url: str, tls: ssl.SSLContext | None, who: dict[str, Any], seconds: float) -> None:
        client = self._client
        try:
            await client.connect(
                url,
                name=self._name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=seconds,  # type: ignore[arg-type]
                ping_interval=PING_SECONDS,
                tls=tls,
                error_cb=self._note_error,
                closed_cb=self._note_closed,
                **who,
            )
        except ssl.SSLCertVerificationError as error:
            raise DeniedError(f"its certificate is not to be trusted: {error.verify_message}") from None
        except (Error, OSError, ValueError, asyncio.TimeoutError, EngineError) as error:
            raise self._loop.error or _why(error) from None
        version = client.connected_server_version
        self.version, self.max_payload = (version.major, version.minor), client.max_payload
        self._is_open = True

    async def _request(self, subject: str, content: bytes, headers: dict[str, str] | None, seconds: float) -> bytes:
        try:
            return (await self._client.request(subject, content, timeout=seconds, headers=headers)).data
        except NoRespondersError:
            raise UnansweredError(f"nobody answers at {subject}") from None
        except (Error, OSError, asyncio.TimeoutError) as error:
            raise _why(error) from None

    async def _subscribe(self, received: Received) -> str:
        async def take(message: Msg) -> None:
            received(message)

        inbox = self._client.new_inbox()
        await self._client.subscribe(inbox, cb=take)
        return inbox

    async def _note_error(self, error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            self.fail(_why(error))
        elif self._is_open and isinstance(error, UnexpectedEOF | StaleConnectionError | OSError):
            self.fail(EngineError(LOST))

    async def _note_closed(self) -> None:
        last = self._client.last_error
        self.fail(EngineError(LOST) if last is None else _why(last))

    # -- between the two ---------------------------------------------------------------------------------------------

    def _wait_for(self, work: Coroutine[Any, Any, Result], seconds: float) -> Result:
        try:
            self.check()
        except EngineError:
            work.close()
            raise
        running = self._unless_broken(work)
        try:
            future = asyncio.run_coroutine_threadsafe(running, self._loop)
        except RuntimeError:
            running.close()
            work.close()
            raise EngineError("the connection is closed") from None
        try:
            return future.result(seconds + GOODBYE_SECONDS)
        except futures.TimeoutError:
            future.cancel()
            raise EngineError("it does not answer") from None

    async def _unless_broken(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = self._loop.create_task(work)
        either: list[asyncio.Future[Any]] = [task, self._broken]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.check()
            return task.result()
        finally:
            task.cancel()


_CREDENTIALS = re.compile(rb"BEGIN NATS USER JWT.*\n\S+\s(?:.*\n)*.*BEGIN USER NKEY SEED.*\n(\S+)\s")


def _why_unusable(path: str | None) -> str | None:
    """Why nats-py must not be given this file of credentials; None if it may, or if there is none.

    Where there is no JWT it would look for one for ever, in the loop. Nothing is raised in here, where the
    key is: tracebacks may show the variables of a frame.
    """
    if path is None:
        return None
    try:
        nkeys: Any = import_module("nkeys")  # which nats-py has in an extra
        found = _CREDENTIALS.search(Path(path).read_bytes())
        if found is not None:
            nkeys.from_seed(bytearray(found[1])).wipe()
            return None
    except ImportError:
        return "it needs nkeys: pip install 'cf_LRU_cache[nats]'"
    except OSError as error:
        return error.strerror or type(error).__name__
    except (nkeys.NkeysError, ValueError):
        pass
    return "it has not a user's JWT and key, as nsc writes them"


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _why(error: BaseException) -> EngineError:
    """What nats-py raises, as one of ours."""
    words = _words(error)
    lower = words.lower()
    if isinstance(error, EngineError):
        return error
    if "permissions violation" in lower:
        return DeniedError(f"this user may not {lower.partition(' for ')[2]}")
    if any(word in lower for word in ("authorization", "authentication", "maximum", "does not encrypt")):
        return DeniedError(words)
    return EngineError(words or type(error).__name__)


def _words(error: BaseException) -> str:
    """In one line, without what nobody needs."""
    words = str(error)
    if isinstance(error, asyncio.TimeoutError):
        words = "it does not answer"
    elif isinstance(error, OSError) and error.errno:
        words = str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno)
    return " ".join(words.removeprefix("nats: ").split())[:SHOWN_CHARACTERS]
