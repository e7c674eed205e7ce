"""Short texts are encoded and decoded as encoding/ does it, on both builds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.replication.encoding import decode_key, encode_key
from tests.replication.build import BUILDS, part_of

TEXTS = [part_of(build, "texts") for build in BUILDS]

lengths = st.sampled_from([0, 1, 30, 31, 32, 33, 254, 255, 256, 65_000])
some_text = (
    st.text(max_size=300)
    | st.builds(lambda length, letter: letter * length, lengths, st.sampled_from("a\0\x7f\x80äж€😀"))
    | st.text(st.characters(categories=["Cs", "L"]), max_size=5)
)
others = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.tuples(some_text, st.integers())


class Text(str):
    """Not quite a text: it may do anything."""


def outcome_of(function: Any, *arguments: object) -> Any:
    """What a call gives, or what it raises."""
    try:
        return repr(function(*arguments))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
        return type(error), str(error)


@settings(deadline=None)
@given(some_text | others | some_text.map(Text))
def test_keys_are_encoded_alike(item: object) -> None:
    for texts in TEXTS:
        assert outcome_of(texts.bytes_of_key, item, encode_key) == outcome_of(encode_key, item)


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(encode_key))
def test_any_bytes_are_decoded_alike(data: bytes) -> None:
    for texts in TEXTS:
        assert outcome_of(texts.key_of, data, decode_key) == outcome_of(decode_key, data)


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\xa1", b"\xa1ab", b"\xa2\xff\xff", b"\xa1\x80", b"\xa3\xed\xa0\x80"])
def test_odd_bytes_are_decoded_alike(data: bytes) -> None:
    for texts in TEXTS:
        assert outcome_of(texts.key_of, data, decode_key) == outcome_of(decode_key, data)


@settings(deadline=None)
@given(some_text)
def test_a_short_text_comes_back(text: str) -> None:
    for texts in TEXTS:
        data = texts.bytes_of_text(text)
        assert data is None or texts.key_of(data, decode_key) == text


@pytest.mark.parametrize(
    ("text", "is_short"), [("a" * 255, True), ("a" * 256, False), ("ä" * 127, True), ("ä" * 128, False)]
)
def test_a_text_is_short_up_to_255_bytes(text: str, is_short: bool) -> None:
    for texts in TEXTS:
        assert (texts.bytes_of_text(text) is not None) == is_short
