"""The gateway's own certificate (`tls`), of the settings in force (hot reload).

A pair that cannot be used has the reload refused, and the one before stays. Connections that are open keep what they
began with; handshakes from then on take the new one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.core.certificate import PairFault, find_faults_in_pair
from gateway.errors import SettingsError
from gateway.runtime.generation import Generation
from gateway.settings import TlsSettings
from gateway.telemetry.logs import log

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy, and no cipher without authentication (RFC 9325 §4.2); those of 1.3 are all like that."""


class Certificate:
    """What TLS is spoken with here, at any time. Raises `SettingsError` when the pair cannot be used."""

    def __init__(self, settings: TlsSettings, public_url: str) -> None:
        self.context = _load(settings, public_url)
        """What every handshake begins with. The keys of its tickets, which resume sessions, are the same for as long as
        the process lives; forked workers have them from their parent."""

    def prepare(self, generation: Generation) -> Callable[[], None]:
        """Read the files that a generation's settings name; as `renew`."""
        settings = generation.settings
        return self.renew(settings.tls, settings.public_url) if settings.tls is not None else lambda: None

    def renew(self, settings: TlsSettings, public_url: str) -> Callable[[], None]:
        """Read the files; returns what has them in use from then on.

        Raises `SettingsError` with the reason when they are no pair.
        """
        context = _load(settings, public_url)
        return lambda: self._present(context)

    def _present(self, newest: ssl.SSLContext) -> None:
        """Have handshakes go on with another context's certificate, and with the tickets of the first.

        Python gives no way to set the keys of tickets; but OpenSSL keeps to those of the context that a handshake has
        begun with, whichever it is given then (`SSL_set_SSL_CTX`).
        """

        def switch(connection: ssl.SSLObject, _name: str | None, _began_with: ssl.SSLContext) -> None:
            connection.context = newest

        self.context.sni_callback = switch


def _load(settings: TlsSettings, public_url: str) -> ssl.SSLContext:
    """Read the files; what they are not fit for is told. Raises `SettingsError` when they are no pair."""
    faults = check(settings, public_url)
    refuse(settings, faults)
    context = build_context(settings)
    for fault in faults:
        log.warning("certificate_caution", reason=f"{settings.certificate} {fault.words}")
    return context


def check(settings: TlsSettings, public_url: str) -> list[PairFault]:
    """Return what is wrong with the files, for browsers that come to `public_url`; nothing is taken into use."""
    read, faults = [], []
    for name, path in (("certificate", settings.certificate), ("key", settings.key)):
        try:
            read.append(Path(path).read_bytes())
        except OSError as error:
            faults.append(PairFault(name, f"cannot be read: {error.strerror}", usable=False))
    host = urlsplit(public_url).hostname or ""
    return faults or [*find_faults_in_pair(read[0], read[1], host=host, now=datetime.now(UTC))]


def name_fault(settings: TlsSettings, fault: PairFault) -> tuple[str, str]:
    """Return the key of the settings that a fault is with, and the words, which name the file."""
    path = settings.key if fault.file == "key" else settings.certificate
    return f"tls.{fault.file}", f"{path} {fault.words}"


def refuse(settings: TlsSettings, faults: Sequence[PairFault]) -> None:
    """Raise `SettingsError` for those with which TLS cannot be spoken."""
    named = [": ".join(name_fault(settings, fault)) for fault in faults if not fault.usable]
    if named:
        raise SettingsError("; ".join(named))


def build_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return what TLS is spoken with; raises `SettingsError` that names the file to mend."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=_refuse_passphrase)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError(f"tls: the certificate cannot be used: {error}") from None
    return context


def _refuse_passphrase() -> str:
    raise ValueError("its key has a passphrase")
