"""The code of a page in docs/, as its reader would paste it."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def snippets_of(page: str) -> list[str]:
    """Its blocks of Python, in their order."""
    found: list[str] = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return found


def run(page: str, number: int, names: dict[str, object], place: Path) -> None:
    """One of them, in the names of those before it. What is a local cluster there is one of this test alone."""
    place.chmod(0o700)
    code = re.sub(r'"(my-[a-z]+)"', lambda found: repr(str(place / found[1])), snippets_of(page)[number])
    exec(compile(code, f"docs/{page}, block {number + 1}", "exec"), names)
