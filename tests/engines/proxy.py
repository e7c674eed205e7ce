"""A proxy before a server: it may be cut, stand before another server unnoticed, and change what is answered."""

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.concurrency import PATIENCE

CHUNK_BYTES = 1 << 20


class Proxy:
    """Listens on a free port, and passes on to one of this machine."""

    def __init__(self, port: int) -> None:
        self.swap(port)
        self.rewrite: Callable[[bytes], bytes] = lambda answer: answer
        self.answers_swapped = 0  # by another server than the connection was made with
        self._is_cut = False
        self._lock = threading.Lock()  # protects the two below
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._run(self._accept)

    def swap(self, port: int) -> None:
        """From here on what is asked, over whichever connection, is asked of the server at this port."""
        self._behind = port

    def cut(self) -> None:
        """End all connections, and let nobody in."""
        self._is_cut = True
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the proxy hangs"

    def _run(self, function: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        behind = first = self._behind
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", behind))
            except OSError:
                return
            with self._lock:
                self._sockets |= {client, server}
            try:
                while not self._is_cut:
                    ready = select.select([client, server], [], [])[0]
                    data = ready[0].recv(CHUNK_BYTES)
                    if not data:
                        return
                    if ready[0] is server:
                        self.answers_swapped += behind != first
                        client.sendall(self.rewrite(data))
                        continue
                    if behind != self._behind:  # between an answer and the next question
                        behind = self._behind
                        with self._lock:
                            self._sockets.remove(server)
                            server.close()
                            server = socket.create_connection(("127.0.0.1", behind))
                            self._sockets.add(server)
                    server.sendall(data)
            except OSError:
                return
            finally:
                with self._lock:
                    self._sockets -= {client, server}
                    server.close()
