"""One call of a resync looks at no more than its budget allows, however little of what it looks at is to be told."""

from itertools import pairwise

from lru_cache.replication.encoding import encode_key
from lru_cache.replication.rules.limits import Limits
from lru_cache.replication.rules.messages import Seen, encode
from lru_cache.replication.rules.telling import BYTES_FOR_A_LOOK
from lru_cache.replication.rules.version import Version, time_of
from lru_cache.replication.rules.wiring import wire
from lru_cache.store.python_store import Store

BUDGET = 8_192
GRAVES = 40_000


def test_graves_that_are_seldom_news_are_gone_through_in_many_calls() -> None:
    """A notice now and then must not keep a call going for as long as all of them fill its budget."""
    node, now = b"n" * 8, 100.0
    store: Store[str, bytes] = Store(10)
    _, replica = wire(store, node, now, 1.7e9, Limits(graves=GRAVES), loading={}, fence=lambda _: None)
    for number in range(GRAVES):
        if number % 100:
            replica.invalidate(encode_key(number), now)
        else:  # another node's, which the neighbour knows nothing of
            replica.forgotten.bury(encode_key(number), Version(time_of(1.7e9), b"z" * 8))
    replica.heartbeat(now)
    replica.link_up("a", b"x" * 8, 100, 1_000_000)
    replica.to_send("a", now, BUDGET)
    replica.received("a", encode(Seen(True, {node: replica.origins.own_time})), now)

    resync = replica.neighbours["a"].resync
    assert resync is not None
    looked_at = [0]
    while replica.neighbours["a"].resync is not None:
        replica.to_send("a", now, BUDGET)
        looked_at.append(resync.looked_at)
    most = max(later - before for before, later in pairwise(looked_at))
    turn = 16 * 256
    assert looked_at[-1] >= GRAVES
    assert most <= BUDGET / BYTES_FOR_A_LOOK + turn
