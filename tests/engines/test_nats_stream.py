"""In what a stream of NATS differs from what is asked for."""

from typing import Any

import pytest

from lru_cache.engines.nats_stream import differences, settings
from lru_cache.engines.options import JetStream

ASKED = settings("name", JetStream("nats://h", retention=90, records=7, replicas=3))


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"num_replicas": 5},
        {"max_msg_size": -1},
        {"max_msg_size": 1 << 20},
        {"duplicate_window": 120_000_000_000, "max_bytes": 1 << 30, "deny_delete": False},
    ],
)
def test_what_does_no_harm_is_no_difference(found: dict[str, Any]) -> None:
    assert differences(ASKED, {**ASKED, **found}) == ""


@pytest.mark.parametrize(
    ("found", "said", "act"),
    [
        ({"max_age": 1_500_000_000}, "retention is 1.5 s, not 90 s", "`nats stream edit name --max-age=90s`"),
        ({"max_msgs": -1}, "records is -1, not 7", "`nats stream edit name --max-msgs=7`"),
        ({"num_replicas": 1}, "replicas is 1, not 3", "`nats stream edit name --replicas=3`"),
        ({"discard": "new"}, "discard is new, not old", "`nats stream edit name --discard=old`"),
        ({"max_msg_size": 1024}, "message is 1024, not 262656", "`nats stream edit name --max-msg-size=262656`"),
        ({"max_msgs_per_subject": 1}, "subject is 1, not -1", "`nats stream edit name --max-msgs-per-subject=-1`"),
        ({"no_ack": True}, "no_ack is True, not False", "`nats stream edit name --ack`"),
        ({"storage": "memory"}, "storage is memory, not file", "`nats stream rm name`, after which it is made anew"),
        ({"retention": "workqueue"}, "policy is workqueue, not limits", "`nats stream rm name`, after which"),
        ({"max_msgs": 9, "discard": "new"}, "records is 9, not 7, discard is", "name --max-msgs=7 --discard=old`"),
    ],
)
def test_what_differs_is_said_with_what_changes_it(found: dict[str, Any], said: str, act: str) -> None:
    line = differences(ASKED, {**ASKED, **found})
    assert said in line
    assert f"run {act}" in line or act in line
    assert "\n" not in line
