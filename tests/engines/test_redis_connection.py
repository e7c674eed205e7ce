"""How Redis is found, who may, and what its errors say: what to do, and never who we are."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from harness.ports import free_port
from lru_cache.engines import redis_connection
from lru_cache.engines.engine import DeniedError, EngineError
from tests.concurrency import Started, eventually
from tests.engines import fake_redis
from tests.engines.asking import SECRETS, WHO, Fakes, Make, connect, failure, filled, outcome, reader
from tests.engines.fake_redis import array, bulk
from tests.engines.logs import key
from tests.engines.servers import Sentinel, Server, Servers, find_server

# -- who may -----------------------------------------------------------------------------------------------------------


def test_the_acl_that_is_documented_suffices(guarded: Server, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    there = filled(make(f"redis://{WHO}127.0.0.1:{guarded.port}"), 3)
    assert there.find() == there.place
    assert there.look() > 0
    assert there.engine.pause == pytest.approx(0.0001)
    guarded.ask("SCRIPT", "FLUSH")
    there.append(b"again")
    assert not caplog.records


def test_a_wrong_password_is_denied(guarded: Server, make: Make) -> None:
    guarded.ask("ACL", "SETUSER", SECRETS["user"], "resetpass", ">other")
    said = failure(lambda: connect(make(f"redis://{WHO}127.0.0.1:{guarded.port}")), DeniedError)
    assert said == f"Redis at 127.0.0.1:{guarded.port} refuses the user or the password of the URL"


def test_no_password_where_one_is_needed_is_denied(guarded: Server, make: Make) -> None:
    assert "asks for a password" in failure(lambda: connect(make(guarded.url)), DeniedError)


def test_a_password_that_is_not_needed_is_denied(servers: Servers, make: Make) -> None:
    engine = make(f"redis://:open%20sesame@127.0.0.1:{servers().port}")
    assert "has no password" in failure(lambda: connect(engine), DeniedError)


@pytest.mark.parametrize("lacking", ["xadd", "evalsha", "xtrim", "xrevrange"])
def test_who_may_not_append_is_denied(lacking: str, guarded: Server, make: Make) -> None:
    there = reader(make(f"redis://{WHO}127.0.0.1:{guarded.port}"))
    guarded.ask("ACL", "SETUSER", SECRETS["user"], f"-{lacking}")
    assert "does not permit this user" in failure(lambda: there.append(b"1"), DeniedError)


def test_another_key_is_denied(guarded: Server, make: Make) -> None:
    guarded.ask("ACL", "SETUSER", SECRETS["user"], "resetkeys", "~other:*")
    engine = make(f"redis://{WHO}127.0.0.1:{guarded.port}")
    assert "does not permit this user" in failure(lambda: connect(engine), DeniedError)


@pytest.mark.parametrize("lacking", ["hello", "zadd", "zcard", "expire"])
def test_what_is_only_useful_may_be_lacking(lacking: str, guarded: Server, make: Make) -> None:
    guarded.ask("ACL", "SETUSER", SECRETS["user"], f"-{lacking}")
    there = filled(make(f"redis://{WHO}127.0.0.1:{guarded.port}"), 1)
    assert there.look() > 0
    assert there.engine.pause == (pytest.approx(0.0001) if lacking == "hello" else 0.0)


def test_an_address_is_refused_before_it_is_dialled(fake: Fakes, make: Make) -> None:
    server = fake()
    asked: list[Any] = []

    def refusal(family: int, where: Any) -> str | None:
        asked.append(where)
        return "a secret is needed there"

    assert failure(lambda: connect(make(server.url, refusal)), DeniedError) == "a secret is needed there"
    assert asked == [("127.0.0.1", server.port)]
    assert server.commands == []


def test_another_database_is_another_log(servers: Servers, make: Make) -> None:
    server = servers("--databases", "3")
    filled(make(server.url), 1)
    assert connect(make(f"{server.url}/2")).first is None
    assert "no database of that number" in failure(lambda: connect(make(f"{server.url}/3")), DeniedError)


# -- what it is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (fake_redis.hello(b"6.0.16"), "version 6.0.16, is too old: 6.2 or newer is needed"),
        (fake_redis.hello(b"5.0.7"), "version 5.0.7, is too old: 6.2 or newer is needed"),
        (b"-ERR unknown command `HELLO`, with args beginning with:\r\n", "is too old: 6.2 or newer is needed"),
    ],
)
def test_a_server_that_is_too_old_is_denied(answer: bytes, says: str, fake: Fakes, make: Make) -> None:
    server = fake(lambda command: answer if command[0] == b"HELLO" else None)
    assert says in failure(lambda: connect(make(server.url)), DeniedError)


@pytest.mark.parametrize(
    "answer", [fake_redis.hello(b"6.2.0"), fake_redis.hello(b"8.1"), fake_redis.hello(b"1.0", b"x")]
)
def test_a_server_that_is_new_enough_or_something_else_will_do(answer: bytes, fake: Fakes, make: Make) -> None:
    connect(make(fake(lambda command: answer if command[0] == b"HELLO" else None).url))


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ("LOADING Redis is loading the dataset in memory", EngineError, "loading"),
        ("MISCONF Redis is configured to save RDB snapshots, but", DeniedError, "disk"),
        ("NOREPLICAS Not enough good replicas to write.", EngineError, "fewer replicas"),
        ("READONLY You can't write against a read only replica.", EngineError, "is a replica"),
        ("ERR Error running script (call to f_1): @user_script:8: -OOM command not allowed", DeniedError, "maxmemory"),
        ("ERR Error running script (call to f_1): @user_script:8: -READONLY You can't", EngineError, "is a replica"),
        ("ERR max number of clients reached", DeniedError, "maxclients"),
        ("CLUSTERDOWN The cluster is down", EngineError, "Cluster"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", EngineError, "about to move"),
        ("MOVED 1 127.0.0.1:1", EngineError, "has moved the log"),
        ("SURPRISE something\x1b new", EngineError, "refuses a command: SURPRISE something new"),
        ("SURPRISE for smith-and-sons", EngineError, "refuses a command: SURPRISE for ..."),
        ("SURPRISE 'open sesame'", EngineError, "refuses a command: SURPRISE '...'"),
        ("NOPERM User smith-and-sons has no permissions to run the 'xadd' command", DeniedError, "(xadd)"),
    ],
)  # fmt: skip
def test_what_an_error_means(error: str, kind: type[EngineError], says: str, fake: Fakes, make: Make) -> None:
    answers = {b"AUTH": b"+OK\r\n", b"EVALSHA": f"-{error}\r\n".encode()}
    there = reader(make(f"redis://{WHO}127.0.0.1:{fake(lambda command: answers.get(command[0])).port}"))
    assert says in failure(lambda: there.append(b"1"), kind)
    assert "not connected" in failure(lambda: there.append(b"1"))


ODD = [
    b"", b"+OK\r\n", b":-1\r\n", b":7\r\n", b"$-1\r\n", b"$3\r\nabc\r\n", b"*-1\r\n", b"?\r\n", b"$x\r\n",
    b"*1\r\n:1\r\n",
    array(bulk(b"1"), bulk(b"x")), array(array(bulk(b"1-1"))), array(array(bulk(b"x"), array())),
    array(array(bulk(b"1-1"), array(b":1\r\n"))), array(array(bulk(b"1-1"), b"*-1\r\n")), b"-\r\n", b"-\xff\xfe\r\n",
    bulk(b"1" * 30 + b"-0"),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("command", [b"HELLO", b"TIME", b"XRANGE", b"EVALSHA"])
def test_whatever_a_server_answers_is_an_error_of_an_engine_if_it_is_one(
    command: bytes, odd: bytes, fake: Fakes, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    if odd == b"":
        monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 0.05)
    engine = make(fake(lambda asked: odd if asked[0] == command else None).url)
    acts: list[Callable[[], Any]] = [
        lambda: engine.read(None, 10),
        lambda: engine.look(None, b""),
        lambda: engine.append(b"1", None, b""),
        lambda: engine.find([((1, 1), b"a")]),
    ]
    outcomes = [outcome(lambda act=act: (connect(engine), act())) for act in acts]
    assert command == b"HELLO" or any(isinstance(each, EngineError) for each in outcomes)


# -- other ways to be found --------------------------------------------------------------------------------------------


def test_a_unix_socket(servers: Servers, make: Make) -> None:
    assert len(filled(make(f"unix://{servers().socket}"), 2).records) == 2


def test_a_name_that_nobody_has(make: Make) -> None:
    assert "is not known" in failure(lambda: connect(make("redis://nobody.invalid:1")))


def test_hosts_are_tried_in_turn(servers: Servers, make: Make) -> None:
    one, two = servers(), servers()
    engine = make(f"redis://127.0.0.1:{free_port()},127.0.0.1:{one.port},127.0.0.1:{two.port}")
    filled(engine, 1)
    one.kill()
    assert connect(engine).first is None
    two.kill()
    assert "cannot be reached" in failure(lambda: connect(engine))


def test_of_several_failures_that_is_told_about_which_something_can_be_done(guarded: Server, make: Make) -> None:
    engine = make(f"redis://127.0.0.1:{guarded.port},127.0.0.1:{free_port()}")
    assert "asks for a password" in failure(lambda: connect(engine), DeniedError)


@pytest.fixture
def certified(tmp_path: Path, servers: Servers) -> dict[str, str]:
    """A server with TLS, which asks for a certificate; where it is, and files of ours."""
    authority, stranger = trustme.CA(), trustme.CA()
    for name, made in (("authority", authority), ("stranger", stranger)):
        made.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    for name in ("server", "client"):
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    port = free_port()
    files = {name: str(tmp_path / name) for name in os.listdir(tmp_path)}  # noqa: PTH208
    servers(
        "--tls-port", str(port), "--tls-cert-file", files["server.pem"], "--tls-key-file", files["server.key"],
        "--tls-ca-cert-file", files["authority.pem"], "--tls-auth-clients", "yes",
    )  # fmt: skip
    return {"url": f"rediss://127.0.0.1:{port}", **files}


def test_tls_with_certificates_of_both_sides(certified: dict[str, str], make: Make) -> None:
    engine = make(
        certified["url"],
        authority=certified["authority.pem"],
        certificate=certified["client.pem"],
        key=certified["client.key"],
    )
    assert len(filled(engine, 2).records) == 2


def test_a_server_whose_certificate_nobody_vouches_for_is_denied(certified: dict[str, str], make: Make) -> None:
    engine = make(certified["url"], authority=certified["stranger.pem"])
    assert "the certificate of Redis at 127.0.0.1" in failure(lambda: connect(engine), DeniedError)


def test_a_server_that_asks_for_a_certificate_gets_one_or_says_no(certified: dict[str, str], make: Make) -> None:
    failure(lambda: connect(make(certified["url"], authority=certified["authority.pem"])))


def test_files_that_are_not_there_are_denied(certified: dict[str, str], make: Make) -> None:
    engine = make(certified["url"], authority="/nowhere")
    assert "cannot be used" in failure(lambda: connect(engine), DeniedError)


def test_sentinels_say_which_is_the_primary(servers: Servers, make: Make, tmp_path: Path) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    sentinel = Sentinel(find_server("redis"), tmp_path, primary, "ours")
    try:
        engine = make(f"redis://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}", sentinel="ours")
        there = filled(engine, 2)
        unknown = make(f"redis://127.0.0.1:{sentinel.port}", sentinel="theirs")
        assert "knows no primary called 'theirs'" in failure(lambda: connect(unknown), DeniedError)
        assert "is a Sentinel" in failure(lambda: connect(make(sentinel.url)), DeniedError)
        replica.catch_up(primary)
        sentinel.fail_over("ours", replica)
        there.connect()
        assert there.append(b"3") > there.read()[1].place
        assert replica.client.xlen(key("c")) == 3
    finally:
        sentinel.close()


def test_a_primary_that_a_sentinel_names_may_be_refused(fake: Fakes, make: Make) -> None:
    answer = array(bulk(b"127.0.0.2"), bulk(b"1"))
    sentinel = fake(lambda command: answer if command[0] == b"SENTINEL" else None)
    engine = make(sentinel.url, lambda _, where: "not there" if where[0] == "127.0.0.2" else None, sentinel="ours")
    assert failure(lambda: connect(engine), DeniedError) == "not there"


@pytest.mark.parametrize("who", ["", ":open%20sesame@"])
def test_what_a_server_says_before_it_closes_the_connection_is_heard(who: str, servers: Servers, make: Make) -> None:
    server = servers()
    server.client.config_set("maxclients", 1)
    assert "raise its maxclients" in failure(
        lambda: connect(make(f"redis://{who}127.0.0.1:{server.port}")), DeniedError
    )


PLACES = [(b"127.0.0.1", b"99999"), (b"127.0.0.1", b"-1"), (b"127.0.0.1", b"x"), (b"\0", b"1"), (b"\xff" * 99, b"1")]


@pytest.mark.parametrize("answer", [*ODD[1:], *(array(bulk(host), bulk(port)) for host, port in PLACES)])
def test_whatever_a_sentinel_answers(answer: bytes, fake: Fakes, make: Make) -> None:
    sentinel = fake(lambda command: answer if command[0] == b"SENTINEL" else None)
    with pytest.raises(EngineError):
        connect(make(sentinel.url, sentinel="ours"))


def test_a_sentinel_is_told_the_password_only_if_it_asks(fake: Fakes, make: Make) -> None:
    where = f"127.0.0.1:{fake(lambda command: b'+OK' + bytes([13, 10]) if command[0] == b'AUTH' else None).port}"
    named = array(bulk(b"127.0.0.1"), bulk(where.partition(":")[2].encode()))
    open_one = fake(lambda command: named if command[0] == b"SENTINEL" else None)
    connect(make(f"redis://{WHO}127.0.0.1:{open_one.port}", sentinel="ours"))
    assert [command[0] for command in open_one.commands] == [b"SENTINEL"]
    known: list[bytes] = []

    def answer(command: list[bytes]) -> bytes | None:
        known.append(command[0])
        if command[0] == b"AUTH":
            return b"+OK\r\n"
        return named if b"AUTH" in known else b"-NOAUTH Authentication required.\r\n"

    connect(make(f"redis://{WHO}127.0.0.1:{fake(answer).port}", sentinel="ours"))
    assert known == [b"SENTINEL", b"AUTH", b"SENTINEL"]


@pytest.fixture
def nodes(servers: Servers) -> list[Server]:
    """A Cluster of two, whose first has all slots."""
    buses = [free_port() for _ in range(2)]  # Redis's usual one is the port and 10,000, which may be no port
    made = [servers("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
    made[0].ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    made[1].ask("CLUSTER", "MEET", "127.0.0.1", made[0].port, buses[0])
    for each in made:
        eventually(lambda each=each: b"cluster_state:ok" in each.ask("CLUSTER", "INFO"))
        eventually(lambda each=each: each.ask("CLUSTER", "NODES").count(b"connected") == 2)
    return made


def test_the_node_that_has_the_log_is_found(nodes: list[Server], make: Make) -> None:
    there = filled(make(nodes[1].url), 2)
    assert len(there.records) == 2
    assert nodes[0].client.xlen(key("c")) == 2


def test_the_log_is_followed_while_it_moves_and_after_it(nodes: list[Server], make: Make) -> None:
    one, two = nodes
    there = filled(make(one.url), 2)
    names = [str(node.ask("CLUSTER", "MYID").decode()) for node in nodes]
    slot = one.ask("CLUSTER", "KEYSLOT", key("c"))
    two.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
    one.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
    one.ask("MIGRATE", "127.0.0.1", two.port, "", 0, 5_000, "KEYS", key("c"), f"{key('c')}:nodes")
    assert "has moved the log" in failure(lambda: there.append(b"2"))
    there.connect()
    there.read()
    there.append(b"2")
    assert there.look() > 0
    for node in (two, one):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
    there.read()
    there.append(b"3")
    there.connect()
    assert [record.content for record in there.read()] == [b"0", b"1", b"2", b"3"]
    assert two.client.xlen(key("c")) == 4


def test_nodes_that_send_us_to_each_other_are_left(fake: Fakes, make: Make) -> None:
    server = fake()
    server.answer = lambda command: b"-MOVED 1 :%d\r\n" % server.port if command[0] == b"XRANGE" else None
    assert "from one node of the Cluster to the next" in failure(lambda: connect(make(server.url)))


# -- letting go --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_child_lets_go_and_the_parent_goes_on(scheme: str, request: pytest.FixtureRequest, make: Make) -> None:
    if scheme == "rediss":
        given = request.getfixturevalue("certified")
        engine = make(
            given["url"], authority=given["authority.pem"], certificate=given["client.pem"], key=given["client.key"]
        )
    else:
        engine = make(request.getfixturevalue("servers")().url)
    there = filled(engine, 1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            there.engine.abandon()
            there.engine.close()
            status = 0 if not isinstance(outcome(there.look), int) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    there.append(b"2")
    assert len(there.read()) == 2


def test_not_a_byte_is_sent_over_a_connection_that_was_inherited(fake: Fakes, make: Make) -> None:
    server = fake()
    engine = make(server.url)
    connect(engine)
    connection = engine._connection
    assert connection._socket is not None
    parents = os.dup(connection._socket.fileno())
    connection._process = -1  # that of somebody else
    before = list(server.commands)
    engine.abandon()
    os.write(parents, b"*1\r\n$4\r\nPING\r\n")
    eventually(lambda: server.commands == [*before, [b"PING"]])
    assert server.ends == 0
    os.close(parents)


def test_a_child_need_not_wait_for_a_thread_that_it_has_not(fake: Fakes, make: Make) -> None:
    engine = make(fake().url)
    connect(engine)
    connection = engine._connection
    connection._process = -1
    with connection._closing:
        engine.abandon()
        engine.close()
    assert "not connected" in failure(lambda: engine.read(None, 1))


def test_who_waits_for_an_answer_is_woken_up(servers: Servers, make: Make, start: Callable[..., Started]) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    server.stop()
    waiting = start(outcome, there.look)
    eventually(lambda: there.engine.abandon() or not waiting.thread.is_alive())
    assert "closed the connection" in str(waiting.result())
