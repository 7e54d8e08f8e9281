"""Sealed records (encryption at rest): the one way in which anything of ours is written to the store.

A record is encoded (MessagePack), then sealed with its purpose and with the key it is stored under as associated
data: a dump of the store opens nothing, and a value copied under another key, or read as another kind of record,
does not open either.

What there is of every person, sessions and grants, has a compact form besides: an array without the names of fields,
without what follows from the rest, texts deflated. Versions before 0.2 do not know it, so that it is asked for.

A record says whose it is: gateways that share a store, and maybe the keys, do not take each other's records for their
own. Older records do not say it, and are everybody's until they end or are written anew.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Final, TypeVar

import msgspec

from gateway.core.keyring import Keyring
from gateway.errors import OfAnotherInstance, SealBroken


class CompactForm(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record in few bytes. What is added later comes last, with a default: arrays may be shorter or longer."""

    @abstractmethod
    def restore(self) -> Record:
        """Return the record. Raises `ValueError` when it is none of ours."""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A value that is kept sealed in the store.

    What is kept of people by the thousand is no business of the collector of cycles (`gc=False`, here and wherever else
    it stands): such values hold values only, so they are in no cycle, and it would go over them again and again.
    """

    purpose: ClassVar[str] = ""
    of_instance: ClassVar[bool] = True  # False: of all gateways that come upon the key it is stored under
    compact_form: ClassVar[type[CompactForm] | None] = None

    instance: bytes = b""  # whose it is; set when it is sealed

    def compact(self) -> CompactForm | None:
        """Return it in its compact form; None if it has none."""
        return None


R = TypeVar("R", bound=Record)
Swap = tuple[str, bytes, bytes, int]
"""One sealed record in place of another: key, what it holds now, what from then on, and for how many seconds."""

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Record | CompactForm], msgspec.msgpack.Decoder[Record | CompactForm]] = {}
_ARRAYS: Final = range(0x90, 0xA0)
"""First bytes of arrays of up to 15 (MessagePack, "array format family"); a record is a map otherwise."""


def seal_record(keyring: Keyring, key: str, record: Record, *, compact: bool = False) -> bytes:
    """Seal `record` for being stored under `key`, as the keyring's instance's own; in its compact form if asked to."""
    if record.of_instance and record.instance != keyring.instance:
        record = msgspec.structs.replace(record, instance=keyring.instance)
    plain = _encoder.encode((record.compact() or record) if compact else record)
    return keyring.seal(record.purpose, plain, context=key.encode())


def open_record(keyring: Keyring, key: str, sealed: bytes, kind: type[R]) -> R:
    """Open what was stored under `key`.

    Raises `SealBroken` when it is not a `kind` sealed for this key, `OfAnotherInstance` when it is not ours.
    """
    plain = keyring.open(kind.purpose, sealed, context=key.encode())
    try:
        record = _decode(plain, kind)
    except (ValueError, IndexError) as error:  # a `msgspec.DecodeError`, too
        raise SealBroken(f"a {kind.purpose} record of another version: {error}") from None
    assert isinstance(record, kind)  # noqa: S101 -- tells the type checker what the decoder was made for
    if record.instance and record.instance != keyring.instance:
        raise OfAnotherInstance(f"a {kind.purpose} record of another gateway")
    return record


def _decode(plain: bytes, kind: type[Record]) -> Record | CompactForm:
    form: type[Record | CompactForm] = kind
    if kind.compact_form is not None and plain[0] in _ARRAYS:
        form = kind.compact_form
    decoder = _decoders.get(form)
    if decoder is None:
        decoder = _decoders[form] = msgspec.msgpack.Decoder(form)
    decoded = decoder.decode(plain)
    return decoded.restore() if isinstance(decoded, CompactForm) else decoded


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
