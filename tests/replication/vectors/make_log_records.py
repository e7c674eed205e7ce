"""Makes log_records.json, the test vectors for the records of a log. Run it from the root after a deliberate change."""

import json
from pathlib import Path
from typing import Any

from lru_cache.network.security import RecordSeals
from lru_cache.replication.log_records import News, Return, encode_record

A = bytes(range(1, 9))
SECRET, CLUSTER, STREAM = b"not a secret at all", "default", "users"
MS = 1_700_000_000_000
SEEN = bytes.fromhex("9303c292c4080102030405060708cf018bcfe568000000")


def vector(name: str, record: News | Return) -> dict[str, Any]:
    content = encode_record(record)
    fields: dict[str, Any] = record._asdict() | {"publisher": record.publisher.hex()}
    if isinstance(record, News):
        fields["bodies"] = [body.hex() for body in record.bodies]
    return {
        "name": name,
        "type": int(isinstance(record, Return)),
        "fields": fields,
        "content": content.hex(),
        "secret": SECRET.hex(),
        "cluster": CLUSTER,
        "stream": STREAM,
        "sealed": RecordSeals([SECRET], CLUSTER, STREAM).close(content).hex(),
    }


def main() -> None:
    news = News(A, 7, 3, MS - 500, MS, [SEEN, SEEN])
    whole = encode_record(news)
    vectors = {
        "records": [
            vector("the first", News(A, 1, 1, 0, MS, [SEEN])),
            vector("two messages", news),
            vector("a return", Return(A, 2, MS - 60_000)),
        ],
        "refused": [
            "",
            "00",
            whole[:40].hex(),
            whole[:-1].hex(),
            (whole + b"\0\0").hex(),
            (whole + bytes(4)).hex(),
            "01",
        ],
        "passed_over": ["02", "ff00"],
    }
    Path(__file__).with_name("log_records.json").write_text(json.dumps(vectors, indent=2) + "\n")


if __name__ == "__main__":
    main()
