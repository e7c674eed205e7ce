"""Codecs of what Django keeps in caches: responses, models, and texts that are safe or lazy.

What comes is made of data by classes that the application named, as Django makes it of a view's answer or of a row.
This file must not know caches.
"""

from collections.abc import Callable
from enum import Enum
from http.cookies import Morsel, SimpleCookie
from typing import Any

from django.apps import apps
from django.db.models import Model, QuerySet
from django.db.models.base import ModelState
from django.db.models.fields.files import FieldFile
from django.http import response as responses
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.utils.functional import LazyObject, Promise, empty
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, pgettext_lazy

from lru_cache.codecs import Codec
from lru_cache.faces.codecs import CopyingCodec, an, members

ALL_MODELS = "__all__"
_SCALARS = frozenset((type(None), bool, int, float, str, bytes))
_CONTROLS = frozenset(map(chr, (*range(32), 127)))
RESPONSES = (
    responses.HttpResponse,
    responses.HttpResponseRedirect,
    responses.HttpResponsePermanentRedirect,
    responses.HttpResponseNotModified,
    responses.HttpResponseBadRequest,
    responses.HttpResponseNotFound,
    responses.HttpResponseForbidden,
    responses.HttpResponseNotAllowed,
    responses.HttpResponseGone,
    responses.HttpResponseServerError,
    responses.JsonResponse,
    SimpleTemplateResponse,
    TemplateResponse,
)
LAZY_TEXTS = (type(gettext_lazy("")), type(pgettext_lazy("", "")))  # each function has a class of its own
_OF_RESPONSE = frozenset(
    (
        "_charset", "_container", "_handler_class", "_reason_phrase", "_resource_closers", "closed", "cookies",
        "headers", "status_code", "text",
    )
)  # fmt: skip
_OF_RENDERING = frozenset(TemplateResponse.rendering_attrs)


_NO = type(None)

# -- responses ---------------------------------------------------------------------------------------------------------


def response(cls: Any, *, name: str | None = None) -> Codec[Any]:
    """A class of responses: content, status, headers, cookies, and what else was set on it that is plain data.

    It must have been rendered. What a template was rendered with is not kept, as it is not pickled either.
    """
    if not (isinstance(cls, type) and issubclass(cls, responses.HttpResponse)):
        raise TypeError(f"response takes a class of HttpResponse, not {cls!r}"[:200])

    def encode(value: Any) -> dict[str, Any]:
        state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
        more = {field: state[field] for field in state.keys() - _OF_RESPONSE}
        return {
            "content": value.content,
            "status": value.status_code,
            "reason": value._reason_phrase,
            "charset": value._charset,
            "headers": list(map(list, value.headers.items())),
            "cookies": [
                [name, each.value, each.coded_value, {of: said for of, said in each.items() if said != ""}]
                for name, each in value.cookies.items()
            ],
            # An attribute that is nobody's business is left out, where it is no data.
            "more": {field: kept for field, kept in more.items() if type(kept) in _SCALARS or field[0] != "_"},
        }

    def decode(data: Any) -> Any:
        an(dict, data)
        made: Any = object.__new__(cls)
        responses.HttpResponseBase.__init__(
            made,
            status=an(int, data["status"]),
            reason=an((str, _NO), data["reason"]),
            charset=an((str, _NO), data["charset"]),
        )
        more = an(dict, data["more"])
        if any(callable(getattr(cls, an(str, field), None)) or field in _OF_RESPONSE for field in more):
            raise ValueError("it has what stands in the place of a method")
        made.headers = responses.ResponseHeaders({an(str, name): an(str, said) for name, said in data["headers"]})
        made.cookies = _cookies(data["cookies"])
        made.content = an(bytes, data["content"])
        vars(made).update(more)
        return made

    return CopyingCodec(cls, name, encode, decode, copied_response)


def copied_response(value: Any, copied: Callable[[Any], Any]) -> Any:
    """What `decode` would make of it, without the way through data. `copied` makes copies of what was set on it."""
    made: Any = object.__new__(value.__class__)
    held = made.__dict__
    for field, kept in value.__dict__.items():
        if type(kept) in _SCALARS:
            held[field] = kept
        elif field[0] != "_" and field not in _OF_RESPONSE and field not in _OF_RENDERING:
            held[field] = copied(kept)
    held["headers"] = headers = responses.ResponseHeaders(None)
    headers._store.update(value.headers._store)
    held["cookies"] = cookies = SimpleCookie()
    for name, morsel in value.cookies.items():
        dict.__setitem__(cookies, name, morsel.copy())
    held["_container"] = [value.content]
    held["_handler_class"], held["_resource_closers"], held["closed"] = None, [], False
    held.pop("text", None)
    return made


def _cookies(data: Any) -> Any:
    cookies: SimpleCookie = SimpleCookie()
    for name, value, coded, attributes in an(list, data):
        texts = [an(str, coded), *(said for said in an(dict, attributes).values() if type(said) is str)]
        if not _CONTROLS.isdisjoint("".join(texts)):
            raise ValueError("a cookie has a control character")
        morsel: Morsel[str] = Morsel()
        morsel.set(an(str, name), an(str, value), coded)
        for attribute, said in attributes.items():
            morsel[attribute] = an((str, bool, int), said)
        dict.__setitem__(cookies, name, morsel)
    return cookies


# -- models ------------------------------------------------------------------------------------------------------------


def model(cls: Any, *, name: str | None = None) -> Codec[Any]:
    """A model, as the row that it was read from or saved as: the fields that it holds, and annotations.

    Related objects that were fetched with it are left out, and fetched again when they are asked for. It comes back as
    any row does, by `from_db`. Fields that this class does not have are passed over, those that lack are deferred.
    """
    if not (isinstance(cls, type) and issubclass(cls, Model)):
        raise TypeError(f"model takes a model, not {cls!r}"[:200])
    kind: Any = cls
    meta: Any = kind._meta
    names = [field.attname for field in meta.concrete_fields]
    known = frozenset(names)

    def encode(value: Any) -> dict[str, Any]:
        held = vars(value)
        return {
            "fields": {field: _of_field(held[field]) for field in names if field in held},
            "more": {
                field: kept
                for field, kept in held.items()
                if field not in known and field[0] != "_" and not hasattr(cls, field)
            },
            "db": value._state.db,
            "adding": value._state.adding,
        }

    def decode(data: Any) -> Any:
        fields, more = an(dict, an(dict, data)["fields"]), an(dict, data["more"])
        if any(an(str, field)[:1] == "_" or hasattr(cls, field) for field in more):
            raise ValueError("it has what stands in the place of an attribute")
        held = [field for field in names if field in fields]
        made: Any = kind.from_db(an((str, _NO), data["db"]), held, [fields[field] for field in held])
        made._state.adding = an(bool, data["adding"])
        vars(made).update(more)
        return made

    def copied_model(value: Any, copied: Callable[[Any], Any]) -> Any:
        made: Any = object.__new__(cls)
        held = made.__dict__
        held["_state"] = state = ModelState()
        state.db, state.adding = value._state.db, value._state.adding
        for field, kept in value.__dict__.items():
            if type(kept) in _SCALARS:
                held[field] = kept
            elif field in known:
                held[field] = copied(_of_field(kept))
            elif field[0] != "_" and not hasattr(cls, field):
                held[field] = copied(kept)
        return made

    return CopyingCodec(cls, f"django.models:{meta.label}" if name is None else name, encode, decode, copied_model)


def _of_field(value: Any) -> Any:
    """What a row has for it."""
    if isinstance(value, FieldFile):
        return value.name
    return value.value if isinstance(value, Enum) else value


def models_named(labels: Any) -> list[Codec[Any]]:
    """Codecs of these models: "app.Model" each, or all that are installed."""
    if labels == ALL_MODELS:
        return [model(each) for each in apps.get_models(include_auto_created=True)]
    if isinstance(labels, str):
        raise TypeError(f"models must be {ALL_MODELS!r} or a list such as ['app.Model'], not {labels!r}"[:200])
    return [model(apps.get_model(label)) for label in labels]


# -- texts -------------------------------------------------------------------------------------------------------------


def _lazy(name: str, function: Any, count: int) -> Codec[Any]:
    """Texts that are translated when they are shown: in the reader's language, on whichever node."""

    def encode(value: Any) -> list[str]:
        _, (_, texts, named, *_) = value.__reduce__()
        if named:
            raise TypeError("give its texts by place")
        return list(texts)

    def decode(data: Any) -> Any:
        if len(an(list, data)) != count:
            raise ValueError("it is no text to translate")
        return function(*(an(str, text) for text in data))

    return Codec(type(function(*[""] * count)), f"django.{name}", encode, decode)


def _safe(data: Any) -> SafeString:
    return SafeString(an(str, data))


def standard() -> list[Codec[Any]]:
    """What every cache of Django has: what Django itself keeps."""
    return [
        *(response(each) for each in RESPONSES),
        Codec(SafeString, "django.safe", str.__str__, _safe),
        _lazy("gettext_lazy", gettext_lazy, 1),
        _lazy("pgettext_lazy", pgettext_lazy, 2),
    ]


# -- what is no data ---------------------------------------------------------------------------------------------------


def resolved(value: Any) -> Any:
    """The same with what is behind lazy objects in their place; of lazy texts all that are no plain translation."""
    kind = type(value)
    if kind in LAZY_TEXTS:
        return value
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, LazyObject):
        if value._wrapped is empty:
            value._setup()
        return resolved(value._wrapped)
    if kind is dict:
        return {resolved(key): resolved(member) for key, member in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(map(resolved, value))
    return value


def advice(value: Any) -> str | None:
    """What to do about the first thing of Django's in a value that is no data, if there is one."""
    for each in members(value):
        kind = type(each).__qualname__
        if isinstance(each, QuerySet):
            return (
                f"a {kind} is a query and not what it finds: keep list(queryset), with its model in OPTIONS['models']"
            )
        if isinstance(each, Model):
            label = each._meta.label
            return f"a {kind} is kept if OPTIONS has 'models': ['{label}']; without, keep its key or some of its fields"
        if isinstance(each, responses.StreamingHttpResponse):
            return f"a {kind} can be read only once: keep an HttpResponse"
        if isinstance(each, responses.HttpResponse):
            return f"a {kind} is kept if OPTIONS['codecs'] has lru_cache.django.response({kind})"
    return None
