"""Networks of their own for processes: two machines with a cable between them, as far as the nodes can tell.

It must not know nodes. Needs Linux, `unshare`, `nsenter` and `ip`, and root or user namespaces; `why_not` says what is
missing. The processes that hold the namespaces end with this one, whatever happens to it, and the namespaces with them.
"""

import functools
import subprocess

COMMAND_SECONDS = 10.0
HOLDER = ("cat",)  # ends when its stdin does, and so when we do
NEAR, FAR = "10.77.0.1", "10.77.0.2"


class NamespaceError(Exception):
    """Not on this machine."""


def run(*command: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NamespaceError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise NamespaceError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Cable:
    """Two namespaces, joined by a cable. `near` and `far` are what to put before a command to run it there."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        try:
            self.near = self._hold("unshare", "--user", "--map-root-user", "--net")
            self.far = self._hold(*self.near, "unshare", "--net")
            run(*self.near, "ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1")
            run(*self.near, "ip", "link", "set", "cable1", "netns", str(self._holders[1].pid))
            for prefix, name, address in ((self.near, "cable0", NEAR), (self.far, "cable1", FAR)):
                run(*prefix, "ip", "address", "add", f"{address}/24", "dev", name)
                run(*prefix, "ip", "link", "set", name, "up")
                run(*prefix, "ip", "link", "set", "lo", "up")
        except NamespaceError:
            self.close()
            raise

    def _hold(self, *prefix: str) -> tuple[str, ...]:
        """Start a process in a new namespace, and return what runs others in it."""
        try:
            holder = subprocess.Popen([*prefix, *HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise NamespaceError(f"{prefix[0]}: {error}") from None
        self._holders.append(holder)
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            holder.stdin.write(b"are you there?\n")
            holder.stdin.flush()
        except OSError as error:
            raise NamespaceError(f"{' '.join(prefix)}: {error}") from None
        if not holder.stdout.readline():  # it answers once it is where it is to be
            raise NamespaceError(f"{' '.join(prefix)}: not permitted")
        return ("nsenter", "--target", str(holder.pid), "--user", "--preserve-credentials", "--net")

    def cut(self) -> None:
        """The far end is set down: no packet comes or goes, and nobody is told."""
        run(*self.far, "ip", "link", "set", "cable1", "down")

    def mend(self) -> None:
        run(*self.far, "ip", "link", "set", "cable1", "up")

    def close(self) -> None:
        for holder in reversed(self._holders):
            holder.kill()
            holder.wait()
            for pipe in (holder.stdin, holder.stdout):
                if pipe is not None:
                    pipe.close()

    def __enter__(self) -> "Cable":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@functools.cache
def why_not() -> str:
    """Why there can be no namespaces here; empty if there can."""
    try:
        Cable().close()
    except NamespaceError as error:
        return f"this machine has no network namespaces for us ({error})"
    return ""
