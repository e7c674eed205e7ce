"""A cache node that anything can talk to over HTTP: the extra `cf_LRU_cache[server]`.

    command_line.py   `python -m lru_cache ...`: arguments in, a command chosen
    node.py           a node: the cache, its socket, its signals
    preload.py        pairs out of an SQLite database
    database.py       such a database, made of pairs in a file or of made-up ones
    named_codecs.py   codecs that the operator names
    app.py            what is asked for over HTTP, and what is answered
    bodies.py         the shapes of the requests and answers, which are also what the OpenAPI description says
    data.py           values as what JSON can say
    keys.py           which keys are taken
    secrets.py        secrets out of files
    errors.py         what ends a command
    guard.py          who may ask, and how much: in front of the application
    connections.py    what a connection may cost before there is a request
    metrics.py        the figures for Prometheus
    live.py           the figures as they change: one sample a second, for all who watch
    neighbourhood.py  the neighbours that were there, and are not; and the nodes behind them
    confirmations.py  how long a write takes to all neighbours
    page.html page.py the page for people
    client.py         asking a node, with nothing but the standard library
    top.py            the page, for a terminal

It is a user of the library like any other: of `lru_cache` it knows the public names only, and nothing else imports it.
"""
