"""However a stream is cut, the same bodies come out; what claims too much is refused before it is there."""

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.errors import ProtocolError
from lru_cache.replication import HEADER_BYTES
from tests.effort import some_or_many
from tests.replication.build import BUILDS, part_of

FrameReader: Any = None  # those of the build that is tested: see `_build`
encode_frame: Any = None
encode_frames: Any = None
NEED_DATA: Any = None
LIMIT = 1000


@pytest.fixture(autouse=True, scope="module", params=BUILDS)
def _build(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both builds, whichever this process uses."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FrameReader", "encode_frame", "encode_frames", "NEED_DATA"):
            patch.setattr(sys.modules[__name__], name, getattr(part_of(request.param, "frames"), name))
        yield


bodies = st.lists(st.binary(min_size=1, max_size=40) | st.sampled_from([1, 255, 256, LIMIT]).map(bytes), max_size=12)


def stream_of(contents: list[bytes]) -> bytes:
    return b"".join(encode_frame(body, LIMIT) for body in contents)


def test_a_frame_is_its_length_and_its_body() -> None:
    assert encode_frame(b"\xc0", LIMIT) == b"\0\0\0\1\xc0"


@pytest.mark.parametrize("body", [b"", bytes(LIMIT + 1)], ids=["empty", "too long"])
def test_a_body_that_the_peer_would_refuse_is_our_own_mistake(body: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 1000 bytes"):
        encode_frame(body, LIMIT)


@pytest.mark.parametrize("limit", [0, -1, 2**32, 2**70, -(2**70)])
def test_a_limit_that_no_header_can_say_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit must be 1 to 4294967295 bytes, got {limit}"):
        FrameReader(limit)
    reader = FrameReader(LIMIT)
    with pytest.raises(ValueError, match="limit"):
        reader.limit = limit
    assert reader.limit == LIMIT


def test_frames_are_written_one_behind_the_other() -> None:
    assert encode_frames([b"one", b"three" * 60], LIMIT) == stream_of([b"one", b"three" * 60])
    assert encode_frames([], LIMIT) == b""


@pytest.mark.parametrize("body", [b"", bytes(LIMIT + 1)], ids=["empty", "too long"])
def test_of_many_bodies_each_must_be_one_that_the_peer_takes(body: bytes) -> None:
    with pytest.raises(ValueError, match=f"1 to 1000 bytes, this one has {len(body)}"):
        encode_frames([b"good", body], LIMIT)


def test_need_data_is_no_body_and_says_its_name() -> None:
    assert FrameReader(LIMIT).next_frame() is NEED_DATA
    assert repr(NEED_DATA) == "NEED_DATA"


@settings(max_examples=some_or_many(200, 1000))
@given(bodies, st.lists(st.integers(0, 2000), max_size=10))
def test_a_stream_cut_anywhere_gives_the_same_bodies(contents: list[bytes], cuts: list[int]) -> None:
    stream = stream_of(contents)
    reader, found = FrameReader(LIMIT), []
    for start, end in pairwise([0, *sorted(cuts), len(stream)]):
        reader.receive(stream[start:end])
        found += reader
    assert found == contents
    assert reader.buffered == 0


@settings(max_examples=some_or_many(50, 250))
@given(bodies)
def test_a_stream_of_single_bytes_gives_the_same_bodies(contents: list[bytes]) -> None:
    reader, found = FrameReader(LIMIT), []
    for byte in stream_of(contents):
        reader.receive(bytes((byte,)))
        found += reader
    assert found == contents


@settings(max_examples=some_or_many(100, 500))
@given(bodies, st.integers(1, 50))
def test_chunks_may_be_received_before_the_frames_are_taken(contents: list[bytes], size: int) -> None:
    reader, stream = FrameReader(LIMIT), stream_of(contents)
    for start in range(0, len(stream), size):
        reader.receive(stream[start : start + size])
    assert list(reader) == contents


@settings(max_examples=some_or_many(300, 1500))
@given(bodies, st.binary(max_size=60), st.integers(1, 30))
def test_random_bytes_give_frames_or_a_protocol_error(contents: list[bytes], junk: bytes, size: int) -> None:
    reader, found, stream = FrameReader(LIMIT), [], stream_of(contents) + junk
    try:
        for start in range(0, len(stream), size):
            reader.receive(stream[start : start + size])
            for body in reader:
                assert 0 < len(body) <= LIMIT
                found.append(body)
    except ProtocolError:
        pass
    assert found[: len(contents)] == contents


@pytest.mark.parametrize("length", [0, LIMIT + 1, 2**32 - 1])
def test_a_length_that_is_not_allowed_is_refused_with_the_header(length: int) -> None:
    reader = FrameReader(LIMIT)
    reader.receive(stream_of([b"good"]) + length.to_bytes(HEADER_BYTES, "big")[:3])
    assert list(reader) == [b"good"]
    reader.receive(length.to_bytes(HEADER_BYTES, "big")[3:])
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes, where 1 to {LIMIT} are allowed"):
        reader.next_frame()


@pytest.mark.parametrize("length", [0, LIMIT + 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_length_that_is_not_allowed_is_named_as_it_is_where_it_comes_in_one_piece(length: int) -> None:
    reader = FrameReader(LIMIT)
    reader.receive(stream_of([b"good"]) + length.to_bytes(HEADER_BYTES, "big") + bytes(50))
    assert reader.next_frame() == b"good"
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes, where 1 to {LIMIT} are allowed"):
        reader.next_frame()


def test_frames_before_a_bad_one_are_given_first() -> None:
    reader = FrameReader(LIMIT)
    reader.receive(stream_of([b"one", b"two"]) + b"\xff\xff\xff\xff")
    assert [reader.next_frame(), reader.next_frame()] == [b"one", b"two"]
    with pytest.raises(ProtocolError):
        reader.next_frame()


def test_a_broken_reader_stays_broken_and_keeps_nothing() -> None:
    reader = FrameReader(LIMIT)
    reader.receive(b"\xff\xff\xff\xff" + bytes(500))
    with pytest.raises(ProtocolError) as first:
        reader.next_frame()
    assert reader.buffered == 0
    reader.limit = 2**32 - 1
    for again in (reader.next_frame, lambda: reader.receive(stream_of([b"good"])), lambda: list(reader)):
        with pytest.raises(ProtocolError) as later:
            again()
        assert str(later.value) == str(first.value)
    assert repr(reader) == "<FrameReader limit=4294967295, broken>"


def test_a_raised_limit_holds_for_the_frame_that_is_coming() -> None:
    reader = FrameReader(4)
    long = encode_frame(bytes(100), LIMIT)
    reader.receive(encode_frame(b"hell", 4) + long[:3])
    assert reader.next_frame() == b"hell"
    assert reader.next_frame() is NEED_DATA
    reader.limit = 100
    reader.receive(long[3:])
    assert reader.next_frame() == bytes(100)


def test_a_lowered_limit_refuses_the_frame_that_is_half_there() -> None:
    reader = FrameReader(LIMIT)
    reader.receive(encode_frame(bytes(100), LIMIT)[:50])
    assert reader.next_frame() is NEED_DATA
    reader.limit = 99
    with pytest.raises(ProtocolError):
        reader.next_frame()


def test_a_reader_says_how_much_waits() -> None:
    reader = FrameReader(LIMIT)
    reader.receive(stream_of([b"good"]) + b"\0\0")
    assert reader.next_frame() == b"good"
    assert reader.buffered == 2
    assert repr(reader) == "<FrameReader limit=1000, 2 bytes buffered>"


def test_a_reader_says_what_is_unfinished() -> None:
    reader = FrameReader(LIMIT)
    assert reader.unfinished() == (0, b"")
    for chunk, unfinished in (
        (encode_frame(b"whole", LIMIT) + b"\0\0", (0, b"")),
        (b"\0", (0, b"")),
        (b"\6", (6, b"")),
        (b"be", (6, b"be")),
        (b"gu", (6, b"begu")),
        (b"n.", (0, b"")),
    ):
        reader.receive(chunk)
        list(reader)
        assert reader.unfinished() == unfinished


def test_bodies_are_independent_of_what_comes_later() -> None:
    reader = FrameReader(LIMIT)
    chunk = bytearray(stream_of([b"one"]))
    reader.receive(bytes(chunk))
    body = reader.next_frame()
    reader.receive(stream_of([b"two"]))
    assert (body, type(body)) == (b"one", bytes)


class Chunk(bytes):
    """Bytes with a finalizer that acts."""

    def __new__(cls, contents: bytes, act: Callable[[], object]) -> "Chunk":
        chunk = super().__new__(cls, contents)
        chunk.act = act
        return chunk

    act: Callable[[], object]

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("first", [b"\0\0\0\3", b"\0\0\0\3on", b"\0\0\0\3one", b""])
def test_a_chunk_that_reads_on_while_it_is_given_up_does_no_harm(first: bytes) -> None:
    """As Python; compiled it takes bytes that are nothing more, which have no finalizer."""
    reader, found = part_of("python", "frames").FrameReader(LIMIT), []
    stream = stream_of([b"one", b"two"])
    reader.receive(Chunk(first, lambda: found.extend(reader)))
    found += reader
    for byte in stream[len(first) :]:
        reader.receive(bytes((byte,)))
        found += reader
    assert (found, reader.buffered) == ([b"one", b"two"], 0)


def peak_while_reading(limit: int, stream: bytes, chunk_bytes: int) -> tuple[int, int]:
    """The most memory that reading took beyond the bodies, which are dropped at once, and how many there were."""
    reader, count = FrameReader(limit), 0
    chunks = [stream[start : start + chunk_bytes] for start in range(0, len(stream), chunk_bytes)]
    tracemalloc.start()
    try:
        for chunk in chunks:
            reader.receive(chunk)
            while reader.next_frame() is not NEED_DATA:
                count += 1
        return tracemalloc.get_traced_memory()[1], count
    finally:
        tracemalloc.stop()


def test_memory_stays_within_a_frame_and_a_chunk() -> None:
    limit, chunk_bytes = 1_000_000, 65_536
    stream = encode_frame(bytes(limit), limit) * 4 + encode_frame(b"small", limit) * 20_000
    peak, count = peak_while_reading(limit, stream, chunk_bytes)
    assert count == 20_004
    # The buffer, which grows by an eighth more than is needed, and the body that is cut from it.
    assert peak < 1.2 * (limit + chunk_bytes) + limit + 10_000


def test_nothing_is_kept_between_frames() -> None:
    reader, frame = FrameReader(1_000_000), encode_frame(bytes(1_000_000), 1_000_000)
    tracemalloc.start()
    try:
        reader.receive(frame)
        reader.next_frame()
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


def test_memory_is_not_taken_for_a_frame_that_is_only_claimed() -> None:
    peak, count = peak_while_reading(2**32 - 1, b"\xff\xff\xff\xff" + bytes(1000), 100)
    assert count == 0
    assert peak < 10_000


def test_many_small_frames_in_one_chunk_and_one_large_frame_in_many_are_read_in_linear_time() -> None:
    """Quadratic copying would move 200 GB and 100 GB here, which no time limit of a test run bears."""
    reader = FrameReader(10_000_000)
    reader.receive(encode_frame(b"x", 1) * 400_000)
    assert sum(1 for _ in reader) == 400_000
    large = encode_frame(bytes(300_000), 10_000_000)
    for byte in large:
        reader.receive(bytes((byte,)))
        if (body := reader.next_frame()) is not NEED_DATA:
            assert body == bytes(300_000)
    assert reader.buffered == 0
