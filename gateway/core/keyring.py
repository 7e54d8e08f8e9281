"""Sealing: authenticated encryption (AEAD) of what leaves the process, under keys that can be rotated.

A sealed value is `version (1) | key id (4) | nonce (12) | ciphertext and tag`. The cipher is AES-256-GCM; purpose and
context (the key a record is stored under) are associated data, so that a value opens only as what it is, where it
belongs. Each secret key is stretched by HKDF-SHA256 (RFC 5869) into the sealing key and the key id.

Nonces are 96 random bits. NIST SP 800-38D §8.3 bounds that to 2³² seals under one key; at a thousand a second that is
seven weeks of sealing without pause, and a write happens at sign-in, refresh and once a minute of use: rotate keys
yearly and the bound is never near.

The newest key seals, all keys open: adding a key in front signs nobody out.

Gateways may share a store and even the keys. Each keyring is of one instance, whose records say so (see `record`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import SealBroken

KEY_BYTES: Final = 32
TAG_BYTES: Final = 28
_VERSION: Final = b"\x01"
_ID_END: Final = 5
_NONCE_END: Final = 17
_SHORTEST: Final = _NONCE_END + 16


class Keyring:
    """The secret keys, newest first, of one instance (see `name_instance`; empty: of none in particular)."""

    def __init__(self, keys: Sequence[bytes], instance: bytes = b"") -> None:
        if not keys:
            raise ValueError("a keyring needs at least one key")
        ciphers = [(_derive(key, b"key id", 4), AESGCM(_derive(key, b"sealing", 32))) for key in keys]
        # reversed: were two ids ever to collide, the newer key wins
        self._ciphers: dict[bytes, AESGCM] = dict(reversed(ciphers))
        self._newest_id, self._newest = ciphers[0]
        self._names = tuple(_derive(key, b"names", 32) for key in keys)
        self._tags = tuple(_derive(key, b"tags", 32) for key in keys)
        self.instance = instance

    def __repr__(self) -> str:
        """Say how many keys there are, and nothing of them."""
        return f"Keyring({len(self._ciphers)} keys)"

    def seal(self, purpose: str, plaintext: bytes, *, context: bytes = b"") -> bytes:
        """Encrypt under the newest key."""
        nonce = secrets.token_bytes(12)
        sealed = self._newest.encrypt(nonce, plaintext, _associated(purpose, context))
        return _VERSION + self._newest_id + nonce + sealed

    def open(self, purpose: str, sealed: bytes, *, context: bytes = b"") -> bytes:
        """Decrypt. Raises `SealBroken` for anything that was not sealed by us for this purpose and context."""
        cipher = self._ciphers.get(sealed[1:_ID_END])
        if cipher is None or sealed[:1] != _VERSION or len(sealed) < _SHORTEST:
            raise SealBroken("sealed by none of the keys in `secret_keys`")
        try:
            return cipher.decrypt(sealed[_ID_END:_NONCE_END], sealed[_NONCE_END:], _associated(purpose, context))
        except InvalidTag:
            raise SealBroken("altered, or sealed for another place") from None

    def name(self, subject: str) -> str:
        """Return what a person is called where they must not be known by their open_id (pseudonym): 32 hex digits.

        It is the same for as long as the newest key is.
        """
        return self.names(subject)[0]

    def names(self, subject: str) -> tuple[str, ...]:
        """Return what a person has been called under each of the keys, newest first."""
        message = self.instance + subject.encode()
        return tuple(hmac.digest(key, message, "sha256").hex()[:32] for key in self._names)

    def tag(self, purpose: str, message: bytes) -> bytes:
        """Return what proves that this instance has said something (MAC): 28 bytes of HMAC-SHA256."""
        return self._tag(self._tags[0], purpose, message)

    def is_tag(self, tag: bytes, purpose: str, message: bytes) -> bool:
        """Whether one of the keys has made a tag of this message for this purpose."""
        return any(hmac.compare_digest(self._tag(key, purpose, message), tag) for key in self._tags)

    def _tag(self, key: bytes, purpose: str, message: bytes) -> bytes:
        return hmac.digest(key, self.instance + _associated(purpose, message), "sha256")[:TAG_BYTES]

    def sealed_by_newest(self, sealed: bytes) -> bool:
        """Whether a value needs no re-sealing."""
        return sealed[:_ID_END] == _VERSION + self._newest_id


def name_instance(client_key: str, name: str) -> bytes:
    """Return what tells the records of one gateway from those of others on the same store."""
    return sha256(f"{client_key}\0{name}".encode()).digest()[:16]


def new_secret_key() -> str:
    """Make an entry for `secret_keys`: 32 random bytes as base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).rstrip(b"=").decode("ascii")


def read_secret_key(text: str) -> bytes:
    """Return the 32 bytes of an entry of `secret_keys`. Raises `ValueError` that says how to get one."""
    try:
        key = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("is no secret key: run `gateway keys new` and use what it prints")
    return key


def _derive(key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"tiktok-gateway " + info).derive(key)


def _associated(purpose: str, context: bytes) -> bytes:
    return purpose.encode() + b"\0" + context
