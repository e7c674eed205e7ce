"""A pickle is looked at only after its signature."""

from typing import Any

import pytest

from lru_cache.codecs import Codec
from lru_cache.faces.pickled import Pickled, codec


def made(*secrets: str | bytes, name: str = "shop") -> Codec[Pickled]:
    return codec(name, lambda: secrets, "secret")


def test_what_was_signed_comes_back() -> None:
    signed = made("a").encode(Pickled.of([1]))
    assert made("a").decode(signed, 1).value() == [1]


def test_a_secret_may_be_a_text_or_its_bytes() -> None:
    assert made(b"a").decode(made("a").encode(Pickled.of(1)), 1).value() == 1


def test_the_first_secret_signs_and_all_are_taken() -> None:
    new, old = made("new", "old"), made("old")
    assert new.decode(old.encode(Pickled.of(1)), 1).value() == 1
    with pytest.raises(ValueError, match="it was not signed by this secret"):
        old.decode(new.encode(Pickled.of(1)), 1)


def test_what_was_signed_for_another_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="it was not signed by this secret"):
        made("a").decode(made("a", name="other").encode(Pickled.of(1)), 1)


def test_a_change_of_any_byte_is_noticed() -> None:
    signature, pickled = made("a").encode(Pickled.of("text"))
    for place in range(len(pickled)):
        changed = bytearray(pickled)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="it was not signed"):
            made("a").decode([signature, bytes(changed)], 1)


@pytest.mark.parametrize("data", [None, b"", [], [b"a"], ["a", b"b"], (b"a", b"b"), [b"a", b"b", b"c"]], ids=repr)
def test_what_has_no_signature_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="it is no pickle with a signature"):
        made("a").decode(data, 1)
