"""TLS between the nodes, with certificates of the cluster's own authority, and a shared secret on top.

Needs the `openssl` command to make the certificates, as you would; the library itself needs nothing but Python's ssl.
"""

import logging
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from lru_cache import TLS, LRUCacheDistributed

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    """Once for a cluster. Keep its key away from the nodes: whoever has it can make members."""
    openssl(folder, "req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")


def make_node(folder, name, authority):
    """Once for each node. Its name is for people: what counts is who signed."""
    openssl(folder, "req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    signed_by = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", "365", *signed_by)
    return TLS(
        certificate=str(folder / f"{name}.pem"), key=str(folder / f"{name}.key"), authority=str(folder / "ours.pem")
    )


logging.basicConfig(stream=sys.stdout, format="    log: %(message)s")
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    make_authority(folder, "ours")
    make_authority(folder, "theirs")
    secret = secrets.token_urlsafe(32)
    sydney_tls, montreal_tls = make_node(folder, "sydney", "ours"), make_node(folder, "montreal", "ours")
    with LRUCacheDistributed(local_address=("127.0.0.1", 0), tls=sydney_tls, secret=secret) as sydney:
        with LRUCacheDistributed(remote_address=sydney.local_address, tls=montreal_tls, secret=secret) as montreal:
            assert montreal.wait_connected(timeout=10)
            sydney.set("card", "1234")
            assert sydney.flush()
            print("over TLS, montreal reads", repr(montreal.get("card")))

        guessed = secrets.token_urlsafe(32)
        with LRUCacheDistributed(remote_address=sydney.local_address, tls=montreal_tls, secret=guessed) as thief:
            print("with a stolen certificate but not the secret: linked is", thief.wait_connected(timeout=1))

        stranger_tls = make_node(folder, "stranger", "theirs")
        with LRUCacheDistributed(remote_address=sydney.local_address, tls=stranger_tls, secret=secret) as stranger:
            print("with a certificate of another authority: linked is", stranger.wait_connected(timeout=1))
