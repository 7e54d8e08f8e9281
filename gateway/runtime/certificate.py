"""The gateway's own certificate (`tls`), read again when its files change (hot reload).

A pair that cannot be used changes nothing: the one before stays, and the log says why. Connections that are open keep
what they began with; handshakes from then on take the new one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.core.certificate import PairFault, find_faults_in_pair
from gateway.errors import SettingsError
from gateway.settings import TlsSettings
from gateway.tasks import stop
from gateway.telemetry.logs import log

TICK: Final = 1.0
"""Seconds between two looks at the files."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy, and no cipher without authentication (RFC 9325 §4.2); those of 1.3 are all like that."""


class Certificate:
    """What TLS is spoken with here, at any time. Raises `SettingsError` when the pair cannot be used."""

    def __init__(self, settings: TlsSettings, public_url: str) -> None:
        self._settings = settings
        self._public_url = public_url
        self._seen: object = None
        self.context: ssl.SSLContext
        """For the next handshake. What resumes sessions (ticket keys) is the context's own, and workers share it."""
        self.load(settings, public_url)

    def load(self, settings: TlsSettings, public_url: str) -> None:
        """Take these files; raises `SettingsError` with the reason, and keeps what there was, when they are no pair."""
        seen = _look(settings)
        faults = check(settings, public_url)
        refuse(settings, faults)
        self.context = build_context(settings)
        self._settings, self._public_url, self._seen = settings, public_url, seen
        for fault in faults:
            log.warning("certificate_caution", reason=f"{settings.certificate} {fault.words}")

    def load_if_changed(self) -> bool:
        """Take the files if they are others than before; returns whether there is a new certificate."""
        seen = _look(self._settings)
        if seen == self._seen:
            return False
        self._seen = seen  # told once, not every second
        try:
            self.load(self._settings, self._public_url)
        except SettingsError as error:
            log.error("certificate_not_read", reason=str(error), advice="the one before stays in use")
            return False
        log.info("certificate_read", path=self._settings.certificate)
        return True

    def files(self) -> tuple[Path, ...]:
        """Return the files that it is read from."""
        return Path(self._settings.certificate), Path(self._settings.key)


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


def _look(settings: TlsSettings) -> object:
    return tuple(map(_look_at, (settings.certificate, settings.key)))


def _look_at(path: str) -> object:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class CertificateWatch:
    """Looks at the files now and then; without a certificate, at nothing."""

    def __init__(self, certificate: Certificate | None) -> None:
        self._certificate = certificate
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, within the event loop."""
        if self._task is None and self._certificate is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._certificate), name="certificate")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            await stop(self._task)

    async def _run(self, certificate: Certificate) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await asyncio.to_thread(certificate.load_if_changed)
            except Exception as error:  # noqa: BLE001 -- a bug in one look must not end all further ones
                log.error("bug", exc_info=error)
