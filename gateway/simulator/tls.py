"""A certificate made on the spot, so that the simulator can stand in for TikTok's own names (extra `simulator`)."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

NAMES: Final = (
    "localhost",
    "127.0.0.1",
    "::1",
    "www.tiktok.com",
    "open.tiktokapis.com",
    "host.docker.internal",
    "simulator",
    "tiktok",
)
"""Those that a certificate is good for: loopback, TikTok's, and some that containers go by."""


class TrustmeMissing(Exception):
    """The library that makes certificates is not installed."""


@contextlib.contextmanager
def make_certificate(ca_file: Path, names: Sequence[str] = ()) -> Generator[Path]:
    """Yield a file with a certificate for `NAMES` and `names`, and its key; who trusts `ca_file` trusts it.

    The key of the authority is kept nowhere, so nobody can make another one. Raises `TrustmeMissing` or `OSError`.
    """
    try:
        import trustme
    except ImportError as error:
        raise TrustmeMissing("`--tls` needs `pip install 'tiktok-gateway[simulator]'`") from error
    authority = trustme.CA(organization_name="TikTok simulator")
    authority.cert_pem.write_to_path(str(ca_file))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        authority.issue_cert(*NAMES, *names).private_key_and_cert_chain_pem.write_to_path(str(path))
        yield path
