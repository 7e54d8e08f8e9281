"""What is wrong with a certificate and its key (X.509, PEM), in words that say what to do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID

SOON: Final = timedelta(days=14)
"""Time before its end in which a certificate should long have been renewed."""
_KEY_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)


class PairFault(NamedTuple):
    """What is wrong: with `certificate` or `key`, and whether TLS can be spoken all the same."""

    file: str
    words: str
    usable: bool = True


def find_faults_in_pair(certificate: bytes, key: bytes, *, host: str, now: datetime) -> Iterator[PairFault]:
    """Yield what is wrong with the contents of the two files, for browsers that ask for `host` (a name or address)."""
    try:
        chain = x509.load_pem_x509_certificates(certificate)
        public = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, IndexError):
        yield PairFault("certificate", "is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----", False)
        chain, public = [], b""
    yield from _find_in_key(key, public, chain)
    if chain:
        yield from _find_in_time(chain[0], now)
        yield from _find_in_names(chain[0], host)
        yield from _find_in_chain(chain)


def _find_in_key(key: bytes, public: bytes, chain: Sequence[x509.Certificate]) -> Iterator[PairFault]:
    block = _KEY_BLOCK.search(key)
    if block is None:
        yield PairFault("key", "is no private key in PEM: it has no -----BEGIN PRIVATE KEY-----", False)
        return
    try:
        found = load_pem_private_key(block[0], password=None).public_key()
    except TypeError:
        yield PairFault("key", "has a passphrase, which nobody can type here: `openssl pkey` writes it without", False)
        return
    except Exception:  # noqa: BLE001 -- whatever the library says of what it cannot read
        yield PairFault("key", "is no private key that can be read", False)
        return
    own = found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not public or own == public:
        return
    if any(
        each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == own for each in chain[1:]
    ):
        yield PairFault("certificate", "has that of the key behind others: put it first, its chain behind", False)
    else:
        yield PairFault("key", "is not that of the certificate: take both from one issue", False)


def _find_in_time(leaf: x509.Certificate, now: datetime) -> Iterator[PairFault]:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begins:
        yield PairFault("certificate", f"holds only from {begins:%Y-%m-%d %H:%M} UTC on: is the clock right?")
    elif now >= ends:
        yield PairFault("certificate", f"ended on {ends:%Y-%m-%d %H:%M} UTC: no browser comes past it; renew it")
    elif ends - now < SOON:
        yield PairFault("certificate", f"ends on {ends:%Y-%m-%d %H:%M} UTC: has its renewal failed?")


def _find_in_names(leaf: x509.Certificate, host: str) -> Iterator[PairFault]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        yield PairFault("certificate", "has no names (subjectAltName): browsers look at no others")
        return
    known = [str(each) for kind in (x509.DNSName, x509.IPAddress) for each in names.get_values_for_type(kind)]
    if not any(_matches(name, host) for name in known):
        yield PairFault("certificate", f"is not for {host}, the host of public_url, but for {', '.join(known[:5])}")


def _matches(name: str, host: str) -> bool:
    """Whether a name in a certificate stands for a host (RFC 6125 §6.4): `*` is one whole label, the first."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        pass
    name, host = name.lower(), host.lower()
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:] != "")


def _find_in_chain(chain: Sequence[x509.Certificate]) -> Iterator[PairFault]:
    leaf = chain[0]
    for number, (each, issuer) in enumerate(pairwise(chain), start=2):
        if each.issuer != issuer.subject:
            yield PairFault(
                "certificate",
                f"has a chain that is out of order: certificate {number} in it is not the issuer of the one before; "
                "browsers may forgive it, programs do not",
            )
            return
    if len(chain) == 1 and leaf.issuer != leaf.subject and _tells_issuer(leaf):
        yield PairFault(
            "certificate", "stands alone, without its issuer's: programs will not believe it; use fullchain.pem"
        )


def _tells_issuer(leaf: x509.Certificate) -> bool:
    """Whether it says where its issuer's certificate is found, as those of public authorities do."""
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(each.access_method == AuthorityInformationAccessOID.CA_ISSUERS for each in access)
