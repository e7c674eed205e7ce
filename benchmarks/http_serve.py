"""Serves the bare app on a free port, with the switches of uvicorn that save time, and says where."""

import uvicorn

from benchmarks.http_bare import app


def main() -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        app, port=0, log_level="error", access_log=False, proxy_headers=False, server_header=False, ws="none"
    )
    listening = config.bind_socket()
    listening.listen()
    print(f"serving http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
