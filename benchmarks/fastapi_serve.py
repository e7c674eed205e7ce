"""Serves one of the apps of `python -m benchmarks fastapi` on a free port, and says where."""

import sys

import uvicorn

from benchmarks.fastapi import made


def main() -> None:
    """Serve the app that the first argument names, until SIGTERM."""
    config = uvicorn.Config(made()[sys.argv[1]], port=0, log_level="error", access_log=False)
    listening = config.bind_socket()
    listening.listen()
    print(f"serving http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
