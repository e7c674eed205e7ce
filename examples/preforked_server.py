"""A web server that forks its workers, as gunicorn --preload does: what one of them writes, all of them read.

The cache is made once, before the fork. Each worker's copy joins its parent's by itself, as a client over the Unix
socket; the parent serves no requests, and only has to stay.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from lru_cache import LRUCacheDistributed

WORKERS = 3


class Handler(BaseHTTPRequestHandler):
    """GET /name reads, PUT /name writes."""

    cache = None

    def do_GET(self):
        self.answer({"worker": os.getpid(), "value": self.cache.get(self.path)})

    def do_PUT(self):
        self.cache.set(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.answer({"worker": os.getpid()})

    def answer(self, content):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


def serve(listener, cache):
    """What a worker does, in its own process, until it is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    Handler.cache = cache
    cache.wait_connected(timeout=10)
    server = HTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket = listener
    server.serve_forever()


def request(address, path, body=None):
    data = None if body is None else body.encode()
    asked = urllib.request.Request(f"http://{address[0]}:{address[1]}{path}", data, method="PUT" if data else "GET")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return json.load(answer)


def main():
    # Python 3.12 and later warn of it. This cache holds its locks across a fork and begins anew in the child.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    listener = socket.create_server(("127.0.0.1", 0))
    with tempfile.TemporaryDirectory() as folder:
        cache = LRUCacheDistributed(local_address=str(Path(folder) / "cache.sock"))
        workers = []
        for _ in range(WORKERS):
            worker = os.fork()
            if not worker:
                serve(listener, cache)
            workers.append(worker)
        try:
            assert cache.wait_connected(WORKERS, timeout=20)
            writer = request(listener.getsockname(), "/greeting", "hello")["worker"]
            print("one worker was told a value")
            answers = {}
            for _ in range(1_000):  # whichever worker is free answers; the others follow the writer within moments
                answer = request(listener.getsockname(), "/greeting")
                answers[answer["worker"]] = answer["value"]
                if answers == dict.fromkeys(workers, "hello"):
                    break
            for worker in workers:
                who = "the same worker" if worker == writer else "another worker"
                print(f"{who} answers {answers.get(worker)!r}")
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGTERM)
            for worker in workers:
                os.waitpid(worker, 0)
            cache.close()


if __name__ == "__main__":
    main()
