"""Sealed records (encryption at rest): the one way in which anything of ours is written to the store.

A record is encoded (MessagePack), then sealed with its purpose and with the key it is stored under as associated
data: a dump of the store opens nothing, and a value copied under another key, or read as another kind of record,
does not open either.

A record says whose it is: gateways that share a store, and maybe the keys, do not take each other's records for their
own. Older records do not say it, and are everybody's until they end or are written anew.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec

from gateway.core.keyring import Keyring
from gateway.errors import OfAnotherInstance, SealBroken


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is kept sealed in the store."""

    purpose: ClassVar[str] = ""
    of_instance: ClassVar[bool] = True  # False: of all gateways that come upon the key it is stored under

    instance: bytes = b""  # whose it is; set when it is sealed


R = TypeVar("R", bound=Record)

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Record], msgspec.msgpack.Decoder[Record]] = {}


def seal_record(keyring: Keyring, key: str, record: Record) -> bytes:
    """Seal `record` for being stored under `key`, as the keyring's instance's own."""
    if record.of_instance and record.instance != keyring.instance:
        record = msgspec.structs.replace(record, instance=keyring.instance)
    return keyring.seal(record.purpose, _encoder.encode(record), context=key.encode())


def open_record(keyring: Keyring, key: str, sealed: bytes, kind: type[R]) -> R:
    """Open what was stored under `key`.

    Raises `SealBroken` when it is not a `kind` sealed for this key, `OfAnotherInstance` when it is not ours.
    """
    plain = keyring.open(kind.purpose, sealed, context=key.encode())
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        record = decoder.decode(plain)
    except msgspec.DecodeError as error:
        raise SealBroken(f"a {kind.purpose} record of another version: {error}") from None
    assert isinstance(record, kind)  # noqa: S101 -- tells the type checker what the decoder was made for
    if record.instance and record.instance != keyring.instance:
        raise OfAnotherInstance(f"a {kind.purpose} record of another gateway")
    return record


def read_record(keyring: Keyring, key: str, sealed: bytes | None, kind: type[R]) -> R | None:
    """Return the record stored under `key`; None when nothing is, when no key opens it, or when it is not ours.

    What no key opens counts as absent: it was altered, or sealed by a key that has been retired.
    """
    if sealed is None:
        return None
    try:
        return open_record(keyring, key, sealed, kind)
    except SealBroken:
        return None
