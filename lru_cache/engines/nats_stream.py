"""The settings of a log's stream on NATS JetStream: what is asked for, and in what one that is there differs.

No connections: this file must not know how a server is asked, nor what a record says.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from lru_cache.engines.options import JetStream
from lru_cache.replication.log_records import RECORD_BYTES

HEADER_BYTES = 512  # that ours take at most, beside a record


def settings(name: str, options: JetStream) -> dict[str, Any]:
    """Those of a stream that is made here."""
    return {
        "name": name,
        "subjects": [name],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": int(options.retention_seconds * 1e9),
        "max_msgs": options.records,
        "max_msg_size": RECORD_BYTES + HEADER_BYTES,
        "num_replicas": options.replicas,
        "deny_delete": True,  # of single records: it would be a gap
    }


def differences(asked: dict[str, Any], found: dict[str, Any]) -> str:
    """In what a stream differs from what is asked for, and what changes that; empty if in nothing that matters."""
    wanted = {"max_msgs_per_subject": -1, "no_ack": False, **asked}
    pairs = [(each, wanted[each.field], found.get(each.field, each.default)) for each in _SETTINGS]
    differing = [(each, want, has) for each, want, has in pairs if not each.does(has, want)]
    if not differing:
        return ""
    said = ", ".join(f"{each.option} is {each.shown(has)}, not {each.shown(want)}" for each, want, has in differing)
    flags = [each.flag.format(each.shown(want).replace(" ", "")) for each, want, _ in differing if each.flag]
    acts = [f"`nats stream edit {asked['name']} {' '.join(flags)}`"] if flags else []
    if len(flags) < len(differing):
        acts.append(f"`nats stream rm {asked['name']}`, after which it is made anew")
    return f"{said}; it stays as it is, until you give other options or run {' and '.join(acts)}"


def _same(has: Any, want: Any) -> bool:
    return bool(has == want)


def _at_least(has: Any, want: Any) -> bool:
    return has == -1 or bool(has >= want)


def _seconds(ns: Any) -> str:
    return f"{ns / 1e9:g} s"


class _Setting(NamedTuple):
    """One that matters: the server's name for it, and ours."""

    field: str
    option: str
    flag: str  # of the command that changes it; empty: none does
    default: Any  # where the server says nothing of it
    does: Callable[[Any, Any], bool] = _same
    shown: Callable[[Any], str] = str


_SETTINGS = (
    _Setting("max_age", "retention", "--max-age={}", 0, shown=_seconds),
    _Setting("max_msgs", "records", "--max-msgs={}", -1),
    _Setting("num_replicas", "replicas", "--replicas={}", 1, _at_least),  # more of them do no harm
    _Setting("discard", "discard", "--discard={}", "old"),
    _Setting("max_msg_size", "the largest message", "--max-msg-size={}", -1, _at_least),
    _Setting("max_msgs_per_subject", "records of a subject", "--max-msgs-per-subject={}", -1),
    _Setting("no_ack", "no_ack", "--ack", False),
    _Setting("storage", "storage", "", "file"),
    _Setting("retention", "the retention policy", "", "limits"),
)
