"""Addresses: what is understood, what is refused and in which words, and what is on this machine."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lru_cache import AddressError
from lru_cache.network.address import Address, is_local, parse, parse_many, resolve, shown


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (("localhost", 8000), Address("localhost", 8000)),
        (("localhost", "8000"), Address("localhost", 8000)),
        (["localhost", 8000], Address("localhost", 8000)),
        (("", 0), Address("", 0)),
        (("::1", 8000), Address("::1", 8000)),
        ("localhost:8000", Address("localhost", 8000)),
        (":8000", Address("", 8000)),
        ("[::1]:8000", Address("::1", 8000)),
        ("[::]:0", Address("::", 0)),
        ("10.0.0.1:65535", Address("10.0.0.1", 65535)),
        ("/run/cache.sock", Address(path="/run/cache.sock")),
        ("./cache.sock", Address(path="./cache.sock")),
        ("./odd:80", Address(path="./odd:80")),
        (Path("cache.sock"), Address(path="cache.sock")),
        (Address("a", 1), Address("a", 1)),
    ],
)
def test_every_form_is_understood(given: Any, meant: Address) -> None:
    assert parse("remote_address", given) == meant


@pytest.mark.parametrize(
    "given",
    [
        "localhost",
        "",
        "localhost:",
        "localhost:http",
        "localhost:-1",
        "::1:8000",
        "cache.sock",
        "localhost:65536",
        ("localhost", 65536),
        ("localhost", -1),
        ("localhost", "http"),
        ("localhost", ""),
        ("localhost", "٣"),
        ("localhost:1", "localhost:2"),
        "/" + "x" * 107,
        "/a\0b",
        "localhost:" + "9" * 5000,
    ],
)
def test_what_is_no_address_is_an_address_error_that_names_the_argument(given: Any) -> None:
    with pytest.raises(AddressError, match="remote_address"):
        parse("remote_address", given)


@pytest.mark.parametrize("given", [None, 8000, 1.5, b"localhost:1", ("localhost",), (1, 2), ("a", 1, 2), {}, object()])
def test_what_cannot_be_an_address_is_a_type_error_that_shows_the_forms(given: Any) -> None:
    with pytest.raises(TypeError, match=r'local_address must be an address.*"\[::1\]:port"'):
        parse("local_address", given)


@pytest.mark.parametrize("port", [None, True, 80.0, b"80"])
def test_a_port_is_an_int_or_a_string(port: Any) -> None:
    with pytest.raises(TypeError, match="local_address: a port is"):
        parse("local_address", ("localhost", port))


def test_a_pair_of_addresses_is_told_to_be_a_list() -> None:
    with pytest.raises(AddressError, match="a list of several"):
        parse_many("remote_address", ("localhost:1", "localhost:2"))


def test_one_address_or_a_list_of_several_or_none() -> None:
    assert parse_many("a", None) == []
    assert parse_many("a", []) == []
    assert parse_many("a", ("h", 1)) == [Address("h", 1)]
    assert parse_many("a", "h:1") == [Address("h", 1)]
    assert parse_many("a", [("h", 1), "h:2", "/p"]) == [Address("h", 1), Address("h", 2), Address(path="/p")]


def test_a_list_is_always_several() -> None:
    with pytest.raises(AddressError):
        parse_many("a", ["localhost", 8000])


def test_nobody_listens_on_port_0() -> None:
    """It is what a local address may say for any free one."""
    with pytest.raises(AddressError, match="remote_address: nobody listens on port 0; give the port"):
        parse_many("remote_address", [("h", 1), "h:0"])
    assert parse("local_address", "h:0") == Address("h", 0)


def test_of_equal_addresses_one_is_kept() -> None:
    assert parse_many("a", ["h:1", ("h", "1"), ("h", 1)]) == [Address("h", 1)]


@pytest.mark.parametrize("given", [("h", 1), ("::1", 1), "/run/x"])
def test_what_is_shown_to_applications_is_understood_from_them(given: Any) -> None:
    assert parse("a", parse("a", given).public) == parse("a", given)
    assert parse("a", str(parse("a", given))) == parse("a", given)


@pytest.mark.parametrize(
    ("family", "where", "local"),
    [
        (socket.AF_UNIX, "", True),
        (socket.AF_INET, ("127.0.0.1", 1), True),
        (socket.AF_INET, ("127.9.9.9", 1), True),
        (socket.AF_INET, ("10.0.0.1", 1), False),
        (socket.AF_INET, ("0.0.0.0", 1), True),
        (socket.AF_INET6, ("::", 1, 0, 0), True),
        (socket.AF_INET6, ("::1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 1, 0, 0), True),
        (socket.AF_INET6, ("::ffff:10.0.0.1", 1, 0, 0), False),
        (socket.AF_INET6, ("fe80::1%lo", 1, 0, 1), False),
        (socket.AF_INET6, ("2001:db8::1", 1, 0, 0), False),
    ],
)
def test_only_loopback_and_unix_sockets_are_this_machine(family: int, where: Any, local: bool) -> None:
    assert is_local(family, where) is local


def test_a_mapped_address_is_shown_as_what_it_is() -> None:
    assert shown(socket.AF_INET6, ("::ffff:10.0.0.1", 5, 0, 0)) == "10.0.0.1:5"
    assert shown(socket.AF_INET6, ("::1", 5, 0, 0)) == "[::1]:5"


def test_the_empty_host_is_dialled_on_this_machine() -> None:
    assert all(is_local(family, where) for family, where in resolve(Address("", 80)))


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "\ud800"])
def test_a_host_that_cannot_be_a_name_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError, match="not a host's name"):
        resolve(Address(host, 80))


def test_a_path_is_not_resolved() -> None:
    assert resolve(Address(path="/x")) == [(socket.AF_UNIX, "/x")]


def test_a_path_object_of_bytes_is_refused() -> None:
    class Odd(os.PathLike[Any]):
        def __fspath__(self) -> bytes:
            return b"/x"

    with pytest.raises(TypeError, match="local_address: the path of a Unix socket must be a str"):
        parse("local_address", Odd())


@pytest.mark.parametrize("value", ["redis://x:1", "tcp://127.0.0.1:5555", "unix:///tmp/cache.sock", ("http://x", 1)])
def test_a_url_is_an_address_error_that_says_what_is_possible(value: Any) -> None:
    with pytest.raises(AddressError, match=r"remote_address: .* is a URL.*write \(host, port\)"):
        parse("remote_address", value)
