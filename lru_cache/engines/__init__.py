"""Engines: servers that users already run, which keep the log over which many nodes hear of each other.

    options.py     what users write: `Redis(...)`, `JetStream(...)`, or a URL
    engine.py      the contract: what a log's link asks of an engine
    redis*.py      Redis and Valkey: the log, its stream and its scripts, the connection
    jetstream.py   NATS JetStream
    nats_stream.py       the settings of a log's stream there
    nats_connection.py   a connection with a server of NATS
    log_link.py    the thread that carries records between an engine and one node's end of the log

What stands in a record, what is believed and what is given back are `replication/log_end.py`'s business.
"""

from lru_cache.engines.options import JetStream, Redis

__all__ = ["JetStream", "Redis"]
