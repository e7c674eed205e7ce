"""The shapes of what is asked and answered, which are also what the OpenAPI description says. No behaviour here."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

LONGEST_LIFE_SECONDS = 1e10  # about 300 years: whoever wants more wants no expiry

DATA = "A text as it is, anything else as the data that its codec makes of it."


def _encodable(text: str) -> str:
    """JSON can write halves of characters, which no encoding has."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not valid Unicode") from None
    return text


Text = Annotated[StrictStr, AfterValidator(_encodable)]


class Shape(BaseModel):
    """What is not known is refused: a misspelt `expires_in` must not make a value live for ever."""

    model_config = ConfigDict(extra="forbid")


class Pair(Shape):
    """A key and its value."""

    key: Text
    val: Text


class PairOfData(Pair):
    """A key and its value, which need not be a text."""

    val: Any = Field(description=DATA)


class NewPair(Pair):
    """A key and the value to keep for it."""

    expires_in: (
        Annotated[StrictFloat, Field(gt=0, le=LONGEST_LIFE_SECONDS, allow_inf_nan=False)]
        | Annotated[StrictInt, Field(gt=0, le=LONGEST_LIFE_SECONDS)]
        | None
    ) = Field(default=None, description="Seconds to keep it for; left out or null: as long as the node keeps any.")


class Wanted(Shape):
    """The key whose value is wanted."""

    key: Text = Field(description="A version 4 UUID.")


class Value(Shape):
    """A value alone."""

    value: StrictStr


class ValueOfData(Shape):
    """A value alone, which need not be a text."""

    value: Any = Field(description=DATA)


class Deleted(Shape):
    """What a deletion did."""

    key: StrictStr
    deleted: bool = Field(description="Whether this node held it. All nodes are told in either case.")


class Held(Shape):
    """What is known of a key without reading it."""

    key: StrictStr
    type: StrictStr = Field(description="`str`, or what a Python program of the cluster has set.")
    characters: int | None = Field(description="The value's length, if it is a string.")
    expires_in: float | None = Field(description="Seconds; null: never.")
    val: StrictStr | None = Field(description="Null unless the node was started with --show-values.")


class HeldData(Held):
    """What is known of a key without reading it; its value need not be a text."""

    val: Any = Field(description="Null unless the node was started with --show-values, and where JSON cannot say it.")


OF_TEXTS = Pair, Value, Held
OF_DATA = PairOfData, ValueOfData, HeldData
"""What is answered to who reads, where values are texts, and where they may be any data."""


class Message(Shape):
    """Why not."""

    message: str


class Health(Shape):
    """Whether it serves."""

    status: Literal["ok", "stopping"]


class PeerShape(Shape):
    """A neighbour, or an address at which one is looked for."""

    node: str | None
    region: str | None
    address: str
    role: str | None = Field(description="server if it listens, client if it dials, both.")
    state: str
    rtt: float | None = Field(description="Seconds that a message takes to it and back.")
    lag: float | None = Field(description="Seconds since everything that it had written was known here.")
    queued: int = Field(description="Keys that it is still to be told of.")
    found: str = Field(
        description="How it was found: given, accepted, told, local cluster, or the dns:// name that stands for it."
    )
    hops: int = Field(description="How many links away it is.")


class Peers(Shape):
    """A node, and what it is linked with."""

    node: str
    region: str | None
    peers: list[PeerShape]


class StatsShape(BaseModel):
    """What the cache has done since it was made; more may be added."""

    model_config = ConfigDict(extra="allow")

    hits: int
    misses: int
    loads: int
    evictions: int
    expirations: int
    invalidations: int
    size: int
    capacity: int
    links: int
