"""What stands in the stream that Redis keeps for a log: the fields of its entries, and the scripts that know of them.

An entry is trusted no more than any record is. One with other fields than ours, which somebody else has added, is given
as an empty record, so who reads it refuses it; its chain is its id, and the next record follows that. One with our
fields is forged if its chain is not that of its record: in its place may have been another, which is lost.

No connections: this file must not know how a server is asked, nor what a record says.
"""

import os
import re
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

from lru_cache.replication.log_records import Place, Record

CHAIN_BYTES = 40  # a digest in hexadecimal digits
UNKNOWN = b"-"  # the chain before an entry with other fields than ours, if nothing is left before it
START = "-"  # of a range

_MOST_DIGITS = 15  # of a number: Lua counts in floats
_ID = re.compile(rb"\d{1,20}-\d{1,20}")

_ENTRIES = """
local function ours(e)
  local f = e[2]
  return #f == 10 and f[1] == 'n' and f[3] == 'h' and f[5] == 'b' and f[7] == 't' and f[9] == 'r'
    and #f[4] == 40 and f[6] ~= '' and #f[2] <= 15 and string.find(f[2], '^%d+$') ~= nil
end
local function chain(e) return ours(e) and e[2][4] or e[1] end
local function at(place) return redis.call('XRANGE', KEYS[1], place, place)[1] end
local function begins(from, before)
  local e = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not e then return before == '' end
  if not ours(e) then return before == '-' end
  return e[2][6] == before or tonumber(e[2][2]) == 1
end
"""


class Script(NamedTuple):
    """What stands in a script, and what Redis calls it."""

    text: str
    name: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


# Place, chain, where the log begins, a token, digest of the content, records, retention, content. The id of the entry;
# 0: the log has not what was read. It is trimmed by whole blocks, which costs next to nothing.
APPEND = _script(
    _ENTRIES
    + """
local place, last = ARGV[1], redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if place ~= '' then
  local e = last
  if not e or e[1] ~= place then e = at(place) end
  if not e or chain(e) ~= ARGV[2] then return 0 end
elseif not begins(ARGV[3], ARGV[2]) then return 0 end
local number, before, token = 0, ARGV[4], ARGV[4]
if last then
  local recent = {last}
  before, number, token = chain(last), 1, chain(last)
  if not ours(last) then recent = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 10) end
  for _, e in ipairs(recent) do
    if ours(e) then number, token = tonumber(e[2][2]), e[2][8]; break end
  end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[6], '*', 'n', string.format('%.0f', number + 1),
  'h', redis.sha1hex(before .. ARGV[5]), 'b', before, 't', token, 'r', ARGV[8])
local oldest = tonumber(string.match(id, '^%d+')) - tonumber(ARGV[7])
if oldest > 0 then redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', oldest)) end
return id
"""
)

# Place, chain, where the log begins. The time; 0: the log has not what was read.
LOOK = _script(
    _ENTRIES
    + """
if ARGV[1] == '' then
  if not begins(ARGV[3], ARGV[2]) then return 0 end
else
  local e = at(ARGV[1])
  if not e or chain(e) ~= ARGV[2] then return 0 end
end
return redis.call('TIME')
"""
)

# Places, each with its chain. Which is the first that is there, from 1 on; 0 if none is.
FIND = _script(
    _ENTRIES
    + """
for i = 1, #ARGV, 2 do
  local e = at(ARGV[i])
  if e and chain(e) == ARGV[i + 1] then return (i + 1) / 2 end
end
return 0
"""
)

# Who is there, and for how many seconds that counts. How many there are.
PRESENCE = _script("""
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[2]) * 2)
return redis.call('ZCARD', KEYS[1])
""")


def new_token() -> str:
    """The chain before the first record of a log that is to begin."""
    return os.urandom(CHAIN_BYTES // 2).hex()


def digest(content: bytes) -> bytes:
    """What of a content goes into the chain."""
    return blake2b(content, digest_size=20).digest()


def name_of(place: Place) -> str:
    """What Redis calls a place."""
    return f"{place[0]}-{place[1]}"


def read_place(name: Any) -> Place | None:
    """The place that Redis calls so; None if this is no such name."""
    if not isinstance(name, bytes) or _ID.fullmatch(name) is None:
        return None
    milliseconds, _, count = name.partition(b"-")
    return int(milliseconds), int(count)


def is_entry(entry: Any) -> bool:
    """Whether this is an entry of a stream, with whatever fields."""
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and read_place(entry[0]) is not None
        and isinstance(entry[1], list)
        and all(isinstance(each, bytes) for each in entry[1])
    )


def record_of(entry: list[Any], chain: bytes | None) -> Record:
    """The record of an entry. `chain` is that of the entry before it; None if that is not known, or there is none."""
    name, fields = entry
    place = read_place(name)
    assert place is not None
    if not _is_ours(fields):
        return Record(place, 2, UNKNOWN if chain is None else chain, name, b"")
    number = int(fields[1])
    return Record(place, number if chain is None else max(number, 2), fields[5], fields[3], fields[9])


def is_forged(entry: list[Any]) -> bool:
    """Whether an entry has our fields, and a chain that the script would not have made of them."""
    fields = entry[1]
    return _is_ours(fields) and fields[3] != chain_of(fields[5], fields[9])


def chain_of(before: bytes, content: bytes) -> bytes:
    """The chain up to a record, as the script makes it."""
    return sha1(before + digest(content), usedforsecurity=False).hexdigest().encode()


def token_of(entry: list[Any]) -> bytes:
    """The token of the log in which this entry stands."""
    return bytes(entry[1][7]) if _is_ours(entry[1]) else UNKNOWN


def _is_ours(fields: list[bytes]) -> bool:
    """Whether an entry has our fields. The scripts decide the same."""
    return (
        len(fields) == 10
        and fields[::2] == [b"n", b"h", b"b", b"t", b"r"]
        and len(fields[3]) == CHAIN_BYTES
        and fields[5] != b""
        and len(fields[1]) <= _MOST_DIGITS
        and fields[1].isdigit()
    )
