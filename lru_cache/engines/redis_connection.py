"""One connection with a Redis server: how it is made, what is asked over it, and what its errors mean.

Redis-py packs and parses; sockets are made here, and none is made anew behind the caller's back. Whatever fails is an
`EngineError`, made outside of any `except`: what it says and what it refers to have neither the user nor the password.

This file must not know what is asked, nor that there is a log.
"""

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

import redis
from redis.connection import DefaultParser

from lru_cache.engines import options
from lru_cache.engines.engine import DeniedError, EngineError, Refusal
from lru_cache.network.address import Address, resolve

TIMEOUT_SECONDS = 2.0  # within which a server answers

Command = tuple[Any, ...]


class ErrorReply(str):
    """What Redis answers in place of a reply."""

    __slots__ = ()

    @property
    def code(self) -> str:
        """The word that says which error this is. In old versions an error within a script has it further behind."""
        if "ACL failure in script" in self or "executing the script can't run" in self:
            return "NOPERM"
        within = re.search(r" -([A-Z]+) ", self)
        return within[1] if within is not None else self.partition(" ")[0]


# Errors keep all of their text: redis-py's classes drop the first word of some, and of which ones differs by version.
_Parser: Any = type("_Parser", (DefaultParser,), {"EXCEPTION_CLASSES": {}})


class _Once(redis.Connection):
    """Redis-py makes another connection where the first is gone. This one has the socket that it is given."""

    given: "socket.socket | None" = None

    def _connect(self) -> socket.socket:
        made, self.given = self.given, None
        if made is None:
            raise OSError("it is closed")
        return made


def _begin_to_parse(connection: Any) -> None:
    """All that is done when there is a connection: nothing is sent but what is asked."""
    connection._parser.on_connect(connection)


class Connection:
    """At most one at a time. For one thread; `abandon` is for any."""

    def __init__(self, options: options.Redis, refusal: Refusal) -> None:
        self.where = options.shown  # for people
        self.is_asking = False  # each command is preceded by ASKING: this node of a Cluster has not quite got the key
        self._options = options
        self._refusal = refusal
        self._until: float | None = None  # all that is asked must be answered by then
        self._parsing: Any = None  # redis-py's connection
        self._socket: socket.socket | None = None  # its socket, or what is to be
        self._process = os.getpid()  # that has made it
        self._timeout: float | None = None  # of the socket
        self._asked: Sequence[Command] = ()  # last, and what was sent then: an idle node asks the same again and again
        self._packed: list[bytes] = []
        self._closing = threading.Lock()  # protects `_socket`: nobody shuts down what somebody else is closing

    # -- making it -----------------------------------------------------------------------------------------------------

    def dial(self, address: Address, until: float) -> None:
        """Connect with what the address means, one after another."""
        self.close()
        self.where = f"Redis at {address}"
        self._until = until
        self.is_asking = False
        failure = EngineError(f"{self.where} does not answer in time")
        for family, where in self._resolved(address):
            if (refused := self._refusal(family, where)) is not None:
                failure = DeniedError(refused)
                continue
            if time.monotonic() >= until:
                break
            found = self._connect(family, where, address.host, self._seconds())
            if found is None:
                return
            failure = found
        raise failure

    def settle(self) -> None:
        """All that was to be asked at first has been asked: from here on each command has its time."""
        self._until = None

    def _seconds(self) -> float:
        """For how long to wait."""
        left = TIMEOUT_SECONDS if self._until is None else self._until - time.monotonic()
        return max(min(left, TIMEOUT_SECONDS), 0.001)

    def _resolved(self, address: Address) -> list[tuple[socket.AddressFamily, Any]]:
        try:
            return resolve(address)
        except (OSError, ValueError, OverflowError) as error:  # some names and ports come from servers
            reason = getattr(error, "strerror", None) or error
        raise EngineError(f"the name of {self.where} is not known: {reason}")

    def _connect(self, family: socket.AddressFamily, where: Any, host: str, timeout: float) -> EngineError | None:
        """Why there is no connection, if there is none."""
        try:
            made = self._hold(socket.socket(family, socket.SOCK_STREAM))
            made.settimeout(timeout)
            made.connect(where)
            if family != socket.AF_UNIX:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._options.parts.scheme == "rediss":
                context = self._context()
                secured = context.wrap_socket(made, server_hostname=host, do_handshake_on_connect=False)
                made = self._hold(secured)
                secured.do_handshake()
            once: Any = _Once
            self._parsing = once(
                protocol=2,
                socket_timeout=TIMEOUT_SECONDS,
                parser_class=_Parser,
                redis_connect_func=_begin_to_parse,
            )
            self._parsing.given = made
            self._timeout = None
            self._parsing.connect()
        except DeniedError as error:
            failure: EngineError = error
        except ssl.SSLCertVerificationError as error:
            failure = DeniedError(f"the certificate of {self.where} does not do: {error.verify_message}")
        except TimeoutError:
            failure = EngineError(f"{self.where} does not answer in time")
        except (OSError, redis.RedisError, ValueError, OverflowError) as error:
            failure = EngineError(f"{self.where} cannot be reached: {getattr(error, 'strerror', None) or error}")
        else:
            return None
        self.close()
        return failure

    def _hold(self, made: socket.socket) -> socket.socket:
        with self._closing:
            self._process = os.getpid()
            self._socket = made
        return made

    def _context(self) -> ssl.SSLContext:
        given = self._options
        try:
            context = ssl.create_default_context(cafile=given.authority or None)
            if given.certificate:
                context.load_cert_chain(given.certificate, given.key or None)
        except OSError as error:
            reason = error.strerror or error
        else:
            return context
        raise DeniedError(f"authority, certificate or key for {self.where} cannot be used: {reason}")

    # -- asking --------------------------------------------------------------------------------------------------------

    def exchange(self, commands: Sequence[Command]) -> list[Any] | EngineError:
        """Send all of them, and give the reply of each; or say why there are none. Then there is no connection.

        That is not raised in here: tracebacks may show the variables of a frame, and a command may be a password.
        """
        if self._parsing is None or self._socket is None:
            return EngineError(f"{self.where} is not connected")
        if self.is_asking:
            commands = [each for command in commands for each in (("ASKING",), command)]
        replies: list[Any] = []
        try:
            self._send(self._socket, commands)
            for _ in commands:
                replies.append(self._reply())  # noqa: PERF401 - those before a failure are wanted
        except redis.TimeoutError:
            failure = EngineError(f"{self.where} does not answer in time")
        except (redis.InvalidResponse, ValueError):
            failure = EngineError(f"{self.where} answers what Redis does not")
        except (redis.RedisError, OSError):
            said = [reply for reply in replies[-1:] if isinstance(reply, ErrorReply)]  # some errors are its last word
            failure = self.explained(said[0]) if said else EngineError(f"{self.where} has closed the connection")
        except BaseException:  # replies that were not read would answer what is asked next
            self.close()
            raise
        else:
            return replies[1::2] if self.is_asking else replies
        self.close()
        return failure

    def _send(self, made: socket.socket, commands: Sequence[Command]) -> None:
        """What was asked last, and is asked once more, is packed, and the socket knows for how long to wait."""
        if (seconds := self._seconds()) != self._timeout:
            made.settimeout(seconds)
            self._timeout = seconds
        if commands != self._asked:
            self._asked, self._packed = commands, self._parsing.pack_commands(commands)
        self._parsing.send_packed_command(self._packed, check_health=False)

    def _reply(self) -> Any:
        try:
            return self._parsing.read_response()
        except redis.ResponseError as error:
            return ErrorReply(self._discreet(str(error)))

    def _discreet(self, error: str) -> str:
        """An error without what it says of who we are: some name the user."""
        code, _, text = error.partition(" ")
        parts = self._options.parts
        if parts.password:
            text = text.replace(parts.password, "...")
        if parts.user:
            text = re.sub(rf"(?<!\w){re.escape(parts.user)}(?!\w)", "...", text)
        return f"{code} {text}"

    def ask(self, *commands: Command) -> list[Any]:
        """The same; what fails as a whole is raised."""
        replies = self.exchange(commands)
        if isinstance(replies, EngineError):
            raise replies
        return replies

    def credentials(self) -> list[Command]:
        """The command that says who we are, if the URL does."""
        parts = self._options.parts
        if parts.password is None:
            return []
        return [("AUTH", parts.password) if parts.user is None else ("AUTH", parts.user, parts.password)]

    # -- letting go ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Redis needs no goodbye."""
        with self._closing:
            parsing, self._parsing, made, self._socket = self._parsing, None, self._socket, None
        if parsing is not None:
            parsing.disconnect()
        if made is not None:
            made.close()

    def abandon(self) -> None:
        """In a child the descriptor is closed, which its parent does not notice.

        In the process that has made the connection, a thread that waits for an answer is woken up, and closes.
        """
        if os.getpid() == self._process:
            with self._closing:
                if self._socket is not None:
                    _shut(self._socket)
            return
        self._closing = threading.Lock()  # whoever holds it is not in this process
        made, self._socket = self._socket, None
        if made is not None:
            made.close()  # before redis-py could shut it down
        self._parsing = None

    # -- what errors mean ----------------------------------------------------------------------------------------------

    def explained(self, error: ErrorReply) -> EngineError:
        """An error of Redis, and what to do where something can be done."""
        kind, text = _MEANINGS.get(error.code) or next(
            (meaning for phrase, meaning in _PHRASES.items() if phrase in error), (EngineError, "")
        )
        command = _COMMAND.search(error)
        if not text:
            text = f"refuses a command: {shown(error)}"
        elif error.code == "NOPERM" and command is not None:
            text = f"{text} ({command[1]})"
        return kind(f"{self.where} {text}")

    def odd(self) -> EngineError:
        """For a reply that is not as it should be."""
        return EngineError(f"{self.where} answers what Redis does not")


_COMMAND = re.compile(r"to run the '([a-z|]{1,30})' command")
_OTHER_DATABASE = "has no other database than 0, as it is a Cluster: leave the number out of the URL"
_NO_PASSWORD = "has no password, and the URL gives one: set it there, or leave it out of the URL"  # noqa: S105
_REPLICA = "is a replica, which must not be written to: give the primary, or Sentinels with sentinel=..."
_ELSEWHERE = "has moved the log to another node of the Cluster"

# By the error's first word.
_MEANINGS: dict[str, tuple[type[EngineError], str]] = {
    "ASK": (EngineError, _ELSEWHERE),
    "BUSY": (EngineError, "is busy with a script of somebody's"),
    "CLUSTERDOWN": (EngineError, "is a node of a Cluster that is down"),
    "DENIED": (DeniedError, "takes no connections from other machines (protected mode): give it a password"),
    "LOADING": (EngineError, "is still loading its data"),
    "MASTERDOWN": (EngineError, "is a replica that has lost its primary"),
    "MISCONF": (DeniedError, "cannot save to its disk, and refuses writes until it can"),
    "MOVED": (EngineError, _ELSEWHERE),
    "NOAUTH": (DeniedError, "asks for a password: give it in the URL, as redis://user:password@host"),
    "NOPERM": (DeniedError, "does not permit this user what the cache needs: see the ACL in docs/engines.md"),
    "NOREPLICAS": (EngineError, "has fewer replicas than it must have to be written to"),
    "OOM": (DeniedError, "has no memory left for the log: raise its maxmemory, or lower retention or records"),
    "READONLY": (EngineError, _REPLICA),
    "TRYAGAIN": (EngineError, "is about to move the log to another node of the Cluster"),
    "WRONGPASS": (DeniedError, "refuses the user or the password of the URL"),
    "WRONGTYPE": (DeniedError, "has something else under the name of the log: delete that, or give another stream"),
}
# By a part of it, where the first word says nothing.
_PHRASES: dict[str, tuple[type[EngineError], str]] = {
    "without any password configured": (DeniedError, _NO_PASSWORD),
    "no password is set": (DeniedError, _NO_PASSWORD),
    "max number of clients": (DeniedError, "takes no more connections: raise its maxclients"),
    "DB index is out of range": (DeniedError, "has no database of that number: see its `databases`"),
    "SELECT is not allowed": (DeniedError, _OTHER_DATABASE),
    "last possible ID": (DeniedError, "has an entry in the log from the end of time: delete the log's key"),
}


def shown(text: str) -> str:
    """What a server says, for people: one line, and not too long."""
    return " ".join(re.sub(r"[^ -~]", " ", text).split())[:200]


def _shut(made: socket.socket) -> None:
    try:
        socket.socket.shutdown(made, socket.SHUT_RDWR)
    except OSError:
        pass  # it was never connected, or is no more
