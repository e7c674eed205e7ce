"""Who imports a face, and lacks what that is a face of, is told in one line what to install."""

import subprocess
import sys

import pytest

FACES = {
    "django": "django",
    "fastapi": "fastapi",
    "flask": "flask_caching",
    "cachelib": "cachelib",
    "dogpile": "dogpile.cache",
}


@pytest.mark.parametrize("face", FACES)
def test_a_framework_that_is_missing_is_one_line_that_says_what_to_install(face: str) -> None:
    extra = "flask" if face == "cachelib" else face
    code = f"""
import sys
sys.modules["{FACES[face]}"] = None
try:
    import lru_cache.{face}
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = run.stdout.splitlines()
    assert line.startswith(f"lru_cache.{face} needs ")
    assert line.endswith(f": pip install 'cf_LRU_cache[{extra}]'")
