"""Carrying: sockets and threads, no rules. What is told and believed is `replication/`'s business.

The order of the files is that of a connection's life: `address` names the other end, `client` and `server` get a
`connection` to it, a `handshake` under `security` finds out who that is, a `link` carries messages in its own thread,
and the `exchange` is where all links and the cache meet. Nothing in this folder may know stores or loading.
"""
