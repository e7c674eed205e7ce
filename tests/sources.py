"""Source distributions of what our faces are for: in them are the tests that their authors hold caches to."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest


def source(project: str, version: str, folder: Path) -> Path:
    """Where that of a release was unpacked, as pip gives it. Without one there is nothing to run."""
    folder.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    got = subprocess.run(
        [*command, "--dest", str(folder), f"{project}=={version}"], capture_output=True, text=True, check=False
    )
    if got.returncode != 0 and os.environ.get("LRU_CACHE_REQUIRE_SOURCES", "") in ("", "0"):
        pytest.skip(f"no source of {project} {version} can be had here")
    assert got.returncode == 0, got.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else packed.extractall(folder)
    (unpacked,) = (found for found in folder.iterdir() if found.is_dir())
    return unpacked
