"""An operator of NATS, who signs accounts and users, and what a server and a user are given of that."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

NO_LIMIT = dict.fromkeys(
    (
        "subs",
        "conn",
        "leaf",
        "imports",
        "exports",
        "data",
        "payload",
        "mem_storage",
        "disk_storage",
        "streams",
        "consumer",
    ),
    -1,
)


class Operator:
    """With one account that may use JetStream, and that of the system."""

    def __init__(self) -> None:
        self._key = _new(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = _new(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = _new(nkeys.PREFIX_BYTE_ACCOUNT)

    def settings(self) -> str:
        """For the configuration of a server."""
        limits = {**NO_LIMIT, "wildcards": True}
        none = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0)
        accounts = {
            _name(self._account): _signed(self._key, self._account, {"type": "account", "limits": limits}),
            _name(self._system): _signed(self._key, self._system, {"type": "account", "limits": {**limits, **none}}),
        }
        preload = "\n".join(f"{name}: {token}" for name, token in accounts.items())
        operator = _signed(self._key, self._key, {"type": "operator", "system_account": _name(self._system)})
        return (
            f"operator: {operator}\nsystem_account: {_name(self._system)}\nresolver: MEMORY\n"
            f"resolver_preload: {{\n{preload}\n}}\n"
        )

    def user(self) -> str:
        """A user's credentials, as `nsc` writes them."""
        seed = _seed(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        token = _signed(self._account, nkeys.from_seed(bytearray(seed)), claims)
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )

    def write_user(self, path: Path) -> Path:
        """A file with those of a new one."""
        path.write_text(self.user())
        return path


def _seed(kind: int) -> bytes:
    return bytes(nkeys.encode_seed(os.urandom(32), kind))


def _new(kind: int) -> Any:
    return nkeys.from_seed(bytearray(_seed(kind)))


def _name(key: Any) -> str:
    return bytes(key.public_key).decode()


def _signed(by: Any, subject: Any, claims: dict[str, Any]) -> str:
    content = {
        "jti": os.urandom(8).hex(), "iat": int(time.time()), "iss": _name(by), "sub": _name(subject), "name": "test",
        "nats": {"version": 2, **claims},
    }  # fmt: skip
    head = _encoded(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    signed = f"{head}.{_encoded(json.dumps(content).encode())}"
    return f"{signed}.{_encoded(by.sign(signed.encode()))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
