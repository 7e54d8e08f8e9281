"""The gateway's own certificate (`tls`), of the settings in force (hot reload).

A pair that cannot be used has the reload refused, and the one before stays. Connections that are open keep what they
began with; handshakes from then on take the new one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from gateway.errors import SettingsError
from gateway.runtime.generation import Generation
from gateway.settings import TlsSettings

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy, and no cipher without authentication (RFC 9325 §4.2); those of 1.3 are all like that."""


class Certificate:
    """What TLS is spoken with here, at any time. Raises `SettingsError` when the pair cannot be used."""

    def __init__(self, settings: TlsSettings) -> None:
        self.context = build_context(settings)
        """For the next handshake. What resumes sessions (ticket keys) is the context's own; forked workers share it."""

    def prepare(self, generation: Generation) -> Callable[[], None]:
        """Read the files that a generation's settings name; returns what has them in use from then on.

        Raises `SettingsError` with the reason when they are no pair.
        """
        settings = generation.settings.tls
        context = build_context(settings) if settings is not None else self.context
        return lambda: setattr(self, "context", context)


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
