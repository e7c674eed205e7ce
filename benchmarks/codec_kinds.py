"""Six fields as each of what people keep them in, and what else makes bytes of that.

This file must not know what is measured.
"""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from lru_cache import codecs
from lru_cache.codecs import Codec

FIELDS: dict[str, Any] = {
    "id": 12_345, "name": "Ada Lovelace", "email": "ada@example.org", "age": 36, "score": 99.5, "active": True,
}  # fmt: skip
TEXT_CHARACTERS = 73  # with its header as many bytes as a dict of these fields


@dataclass
class User:
    """Six fields."""

    id: int
    name: str
    email: str
    age: int
    score: float
    active: bool


def _same(value: Any) -> Any:
    return value


@dataclass
class Kind:
    """How fields become a value, the codec for that, and what a library makes of it and of its bytes again."""

    make: Callable[[Mapping[str, Any]], Any]
    codecs: list[Codec[Any]] = field(default_factory=list)
    library: str = ""
    dumps: Callable[[Any], bytes] = _same
    loads: Callable[[Any], Any] = _same


def _dataclass() -> Kind:
    return Kind(
        lambda fields: User(**fields), [codecs.dataclass(User, name="user")], "pickle", pickle.dumps, pickle.loads
    )


def _msgspec() -> Kind:
    import msgspec

    struct: Any = msgspec.defstruct("Struct", [(name, type(value)) for name, value in FIELDS.items()])
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(struct).decode
    return Kind(lambda fields: struct(**fields), [codecs.msgspec(struct, name="struct")], "msgspec", encode, decode)


def _pydantic() -> Kind:
    import pydantic

    model: Any = pydantic.create_model("Model", **{name: (type(value), ...) for name, value in FIELDS.items()})
    return Kind(
        lambda fields: model(**fields),
        [codecs.pydantic(model, name="model")],
        "pydantic",
        lambda value: value.model_dump_json().encode(),
        model.model_validate_json,
    )


KINDS: dict[str, Callable[[], Kind]] = {
    "a text": lambda: Kind(lambda fields: str(fields["id"]).zfill(TEXT_CHARACTERS)),
    "a dict": lambda: Kind(dict),
    "a dataclass": _dataclass,
    "a msgspec struct": _msgspec,
    "a pydantic model": _pydantic,
}


def kind_of(name: str) -> Kind | None:
    """One of these; None where the library for it is not installed."""
    module = name.split()[1]
    return KINDS[name]() if module not in ("msgspec", "pydantic") or find_spec(module) else None
