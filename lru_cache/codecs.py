"""Codecs: how values of your own classes become plain data, and come back. `LRUCacheDistributed(codecs=[...])`.

    from lru_cache import codecs

    @dataclass
    class Point:
        x: int
        y: int

    cache = LRUCacheDistributed(codecs=[codecs.dataclass(Point)], ...)

A class is known by its exact type, a codec on the wire by its name, and only the codecs that a cache was given make
anything of what comes. A codec must not know bytes: it gives and takes what can be encoded, members with codecs of
their own included. This file must not know caches, and imports of the libraries that it serves nothing until asked.
"""

import dataclasses
import enum as _enum
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

LONGEST_NAME = 100
LARGEST_VERSION = (1 << 31) - 1

Unknown = Literal["ignore", "refuse"]
Upgrade = Callable[[Any, int], Any]


class Codec(Generic[T]):
    """How one class is encoded and decoded.

    `encode(value)` gives plain data. `decode(data)` makes a value of it again, or raises: then what came is a miss.
    A `decode(data, version)` is also given what older versions have encoded; newer ones are a miss.

    `keys=True`: values may be keys of the cache, or in them. Then equal values must be encoded as equal data and others
    not, and nothing may change them.
    """

    __slots__ = (
        "decode",
        "encode",
        "for_keys",
        "name",
        "of_bytes",
        "takes_older",
        "type",
        "version",
        "why_not_in_keys",
    )

    def __init__(
        self,
        type: type[T],  # noqa: A002 - what it is
        name: str | None = None,
        encode: Callable[[T], Any] | None = None,
        decode: Callable[..., T] | None = None,
        version: int = 1,
        *,
        keys: bool = False,
    ) -> None:
        self.type = _class(type)
        self.name = _name(type, name)
        self.version = _version(version)
        for which, function in (("encode", encode), ("decode", decode)):
            if not callable(function):
                raise TypeError(f"{which} of the codec of {type.__qualname__} must be callable, not {function!r}"[:200])
        self.encode: Callable[[T], Any] = encode  # type: ignore[assignment]
        self.takes_older = _takes_two(decode)
        self.decode: Callable[[Any, int], T] = decode if self.takes_older else _of_one(decode)  # type: ignore[assignment]
        self.of_bytes: Callable[[bytes], T] | None = None  # `decode`, where data are bytes, whatever the value
        if keys and type.__hash__ is None:
            raise TypeError(f"keys=True, and {type.__qualname__} is unhashable")
        self.for_keys: Codec[T] | None = self if keys else None
        self.why_not_in_keys = "" if keys else "not one for keys: if equal values are equal data, give it keys=True"

    def __repr__(self) -> str:
        return f"Codec({self.type.__qualname__}, name={self.name!r}, version={self.version})"


def dataclass(
    cls: type[T],
    *,
    name: str | None = None,
    version: int = 1,
    unknown: Unknown = "ignore",
    upgrade: Upgrade | None = None,
) -> Codec[T]:
    """A dataclass, field by field. What has a default need not be there.

    `unknown`: what becomes of fields that this class does not have, "ignore" or "refuse". `upgrade(data, version)`
    makes of an older version's dict of fields one of this version's.
    """
    if not dataclasses.is_dataclass(_class(cls)) or "__dataclass_fields__" not in vars(cls):
        raise TypeError(f"codecs.dataclass takes a dataclass, not {cls.__qualname__}")
    if any("INITVAR" in repr(field._field_type) for field in vars(cls)["__dataclass_fields__"].values()):
        raise TypeError(f"{cls.__qualname__} has an InitVar, which is not kept: write a Codec for it")
    found = dataclasses.fields(_class(cls))
    fields = {field.name: field.name if field.init else None for field in found}
    params = vars(cls)["__dataclass_params__"]
    compared = params.eq and all(field.compare for field in found)
    why_not = _why_not_in_keys(cls, params.frozen, compared and _is_generated(cls.__eq__, "<string>"))
    return _of_fields(cls, name, version, unknown, upgrade, fields, why_not)


def attrs(
    cls: type[T],
    *,
    name: str | None = None,
    version: int = 1,
    unknown: Unknown = "ignore",
    upgrade: Upgrade | None = None,
) -> Codec[T]:
    """A class of attrs, field by field, as `dataclass` has it."""
    import attr

    if not attr.has(_class(cls)):
        raise TypeError(f"codecs.attrs takes a class of attrs, not {cls.__qualname__}")
    fields = {
        field.name: (field.alias or field.name.lstrip("_")) if field.init else None
        for field in attr.fields(_class(cls))
    }
    compared = all(field.eq and field.eq_key is None for field in attr.fields(_class(cls)))
    try:
        _class(object).__new__(cls).x = None
        is_frozen = False
    except Exception as error:  # noqa: BLE001 - of its validators or whatever else it has for that
        is_frozen = isinstance(error, attr.exceptions.FrozenError)
    why_not = _why_not_in_keys(cls, is_frozen, compared and _is_generated(cls.__eq__, "<attrs generated"))
    return _of_fields(cls, name, version, unknown, upgrade, fields, why_not)


def namedtuple(
    cls: type[T],
    *,
    name: str | None = None,
    version: int = 1,
    unknown: Unknown = "ignore",
    upgrade: Upgrade | None = None,
) -> Codec[T]:
    """A namedtuple or a `typing.NamedTuple`, field by field, as `dataclass` has it."""
    fields = getattr(_class(cls), "_fields", None)
    if not issubclass(cls, tuple) or fields is None:
        raise TypeError(f"codecs.namedtuple takes a namedtuple, not {cls.__qualname__}")
    return _of_fields(cls, name, version, unknown, upgrade, {field: field for field in fields}, "is a tuple in keys")


def enum(cls: type[T], *, name: str | None = None, version: int = 1) -> Codec[T]:
    """An `Enum`, by its members' names; a `Flag`, whose combinations have none, by its number."""
    if not issubclass(_class(cls), _enum.Enum):
        raise TypeError(f"codecs.enum takes an Enum, not {cls.__qualname__}")
    kind: Any = cls
    if issubclass(cls, _enum.Flag):
        return Codec(kind, name, lambda value: value.value, lambda data, _: kind(_an(int, data)), version, keys=True)
    return Codec(kind, name, lambda value: value.name, lambda data, _: kind[_an(str, data)], version, keys=True)


def pydantic(cls: type[T], *, name: str | None = None, version: int = 1, upgrade: Upgrade | None = None) -> Codec[T]:
    """A model of pydantic, validated by itself when it is decoded; its `extra` says what becomes of unknown fields."""
    model: Any = _class(cls)
    if not hasattr(model, "model_validate"):
        raise TypeError(f"codecs.pydantic takes a model of pydantic 2, not {cls.__qualname__}")

    by_name: dict[str, Any] = {"by_name": True, "by_alias": False} if _knows_by_name(model) else {}
    tried = False

    def encode(value: Any) -> Any:
        nonlocal tried
        data = value.model_dump(by_alias=not by_name, round_trip=True)
        if not tried and model.model_validate(data, **by_name) != value:
            raise TypeError("it does not come back as it was: write a Codec for it")
        tried = True
        return data

    def decode(data: Any, of_version: int) -> Any:
        return model.model_validate(_upgraded(data, of_version, version, upgrade), **by_name)

    codec = Codec(cls, name, encode, decode, version)
    why_not = _why_not_in_keys(cls, model.model_config.get("frozen", False), _compares_fields(model))
    fields = list(model.model_fields)
    for_keys = Codec(cls, name, lambda value: {field: getattr(value, field) for field in fields}, decode, version)
    return _with_keys(codec, why_not, for_keys)


def _compares_fields(model: Any) -> bool:
    """Whether a model is equal to one with the same fields, and to nothing else."""
    from pydantic import BaseModel

    return (
        model.__eq__ is BaseModel.__eq__
        and not model.__private_attributes__
        and model.model_config.get("extra") != "allow"
        and model.__pydantic_generic_metadata__["origin"] is None  # those of one origin are equal, whatever of
    )


def _knows_by_name(model: Any) -> bool:
    """Whether this pydantic can be told to validate by fields' names, whatever aliases they have: 2.11 and later."""
    return "by_name" in inspect.signature(model.model_validate).parameters


def msgspec(cls: type[T], *, name: str | None = None, version: int = 1) -> Codec[T]:
    """A `Struct` of msgspec, in its own msgpack, validated by itself when it is decoded.

    What has a type in the struct comes back as that; members of classes with codecs of their own are not asked for
    them. `forbid_unknown_fields` says what becomes of unknown fields.
    """
    import msgspec.msgpack

    struct: Any = _class(cls)
    if not issubclass(struct, msgspec.Struct):
        raise TypeError(f"codecs.msgspec takes a Struct of msgspec, not {cls.__qualname__}")
    encode = msgspec.msgpack.Encoder().encode
    decode = msgspec.msgpack.Decoder(cls).decode
    codec = Codec(cls, name, encode, lambda data, _: decode(_an(bytes, data)), version)
    codec.of_bytes = decode
    why_not = _why_not_in_keys(cls, struct.__struct_config__.frozen, struct.__eq__ is msgspec.Struct.__eq__)
    fields = {field: field for field in struct.__struct_fields__}
    return _with_keys(codec, why_not, _of_fields(cls, name, version, "refuse", None, fields, why_not))


def _of_fields(
    cls: type[T],
    name: str | None,
    version: int,
    unknown: Unknown,
    upgrade: Upgrade | None,
    fields: Mapping[str, str | None],
    why_not_in_keys: str,
) -> Codec[T]:
    """A codec of a class made of fields, each with its constructor's name for it; None: it takes none of that."""
    if unknown not in ("ignore", "refuse"):
        raise ValueError(f"unknown must be 'ignore' or 'refuse', not {unknown!r}"[:200])
    of_constructor = {field for field, argument in fields.items() if field == argument}

    def encode(value: T) -> dict[str, Any]:
        return {field: getattr(value, field) for field in fields}

    def decode(data: Any, of_version: int) -> T:
        data = _an(dict, _upgraded(_an(dict, data), of_version, version, upgrade))
        if data.keys() <= of_constructor:
            return cls(**data)
        strange = data.keys() - fields.keys()
        if strange and unknown == "refuse":
            raise ValueError(f"it has fields that are not known here: {', '.join(map(repr, strange))}"[:200])
        value = cls(**{argument: data[field] for field, argument in fields.items() if argument and field in data})
        for field, argument in fields.items():
            if argument is None and field in data:
                object.__setattr__(value, field, data[field])
        return value

    codec = Codec(cls, name, encode, decode, version)
    return _with_keys(codec, why_not_in_keys, codec)


def _with_keys(codec: Codec[T], why_not: str, for_keys: Codec[T]) -> Codec[T]:
    """A codec that stands for itself in values, and in keys for another, unless there is something against it."""
    codec.for_keys, codec.why_not_in_keys = None if why_not else for_keys, why_not
    return codec


def _why_not_in_keys(cls: type, is_frozen: bool, compares_fields: bool) -> str:
    """Why no value of a class made of fields can be a key; nothing if it can."""
    if not is_frozen:
        return "it is not frozen, so it is no key"
    if not compares_fields or cls.__hash__ is None:
        return "does not compare and hash by all of its fields and by nothing else, so it is no key"
    return ""


def _is_generated(method: Any, by: str) -> bool:
    """Whether a method was not written by hand, but made by what names its code like this."""
    return getattr(getattr(method, "__code__", None), "co_filename", "").startswith(by)


def _upgraded(data: Any, of_version: int, version: int, upgrade: Upgrade | None) -> Any:
    return data if upgrade is None or of_version == version else upgrade(data, of_version)


def _an(kind: type[T], data: Any) -> T:
    if type(data) is not kind:
        raise TypeError(f"it is {type(data).__name__} and no {kind.__name__}")
    return data


def _class(cls: Any) -> Any:
    if not isinstance(cls, type):
        raise TypeError(f"a codec is of a class, not of {cls!r}"[:200])
    return cls


def _name(cls: type, name: Any) -> str:
    if name is None:
        name = f"{cls.__module__}.{cls.__qualname__}"
    if type(name) is not str:
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name.isprintable() or not 0 < len(name.encode()) <= LONGEST_NAME or name.startswith("."):
        raise ValueError(
            f"name must be printable, have 1 to {LONGEST_NAME} bytes and not begin with a point, got {name!r}"[:200]
        )
    return name


def _version(version: Any) -> int:
    if type(version) is not int:
        raise TypeError(f"version must be an int, not {type(version).__name__}")
    if not 0 < version <= LARGEST_VERSION:
        raise ValueError(f"version must be from 1 to {LARGEST_VERSION}, got {version}")
    return version


def _takes_two(decode: Any) -> bool:
    """Whether it wants the version, too: a second argument that has no default, or has this name."""
    try:
        parameters = list(inspect.signature(decode).parameters.values())
    except (TypeError, ValueError):
        return False
    by_place = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(by_place) > 1 and (by_place[1].default is inspect.Parameter.empty or by_place[1].name == "version")


def _of_one(decode: Any) -> Callable[[Any, int], Any]:
    return lambda data, _: decode(data)
