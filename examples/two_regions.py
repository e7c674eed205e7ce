"""Two regions with one cache: what one of them writes or loads is in the memory of the other.

Here both are in one process, to be seen at once; in your services each has its own, and an address of its own network.
"""

from lru_cache import LRUCacheDistributed


def load_user(user_id):
    print(f"    the database is asked for user {user_id}")
    return f"user {user_id}"


with (
    LRUCacheDistributed(load_user, local_address=("127.0.0.1", 0), region="sydney") as sydney,
    LRUCacheDistributed(load_user, remote_address=sydney.local_address, region="montreal") as montreal,
):
    assert montreal.wait_connected(timeout=10)
    print("montreal asks for user 7, and gets", repr(montreal.get(7)))
    assert montreal.flush()  # only to show it: wait until sydney has heard of it
    print("sydney asks for user 7, and gets", repr(sydney.get(7)))
    sydney.set(7, "Ada")
    assert sydney.flush()
    print("sydney has set user 7; montreal gets", repr(montreal.get(7)))
    montreal.invalidate(7)
    assert montreal.flush()
    print("montreal has invalidated user 7; it is", "still" if 7 in sydney else "no longer", "in sydney")
