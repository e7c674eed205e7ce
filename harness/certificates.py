"""Certificates of an authority of its own, made by the openssl program that the machine has."""

import subprocess
from pathlib import Path

from lru_cache import TLS

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
SECONDS = 60.0


def make(folder: Path, *names: str) -> dict[str, TLS]:
    """An authority in this folder, and a certificate of it for each of these names."""
    _openssl(folder, "req", "-x509", *CURVE, "-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=ours")
    for name in names:
        _openssl(folder, "req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
            "-CAcreateserial", "-out", f"{name}.pem",
        )  # fmt: skip
    return {name: TLS(*(str(folder / f) for f in (f"{name}.pem", f"{name}.key", "authority.pem"))) for name in names}


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=SECONDS)
