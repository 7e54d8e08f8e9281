"""The section `tls`: the gateway's own certificate, for browsers that come to it without a front."""

from __future__ import annotations

from gateway.settings.scalars import FilePath
from gateway.settings.section import Section


class TlsSettings(Section):
    """The gateway's own certificate: with it, `listen` speaks https. Read again when the files change."""

    certificate: FilePath
    """PEM file of the certificate, with its chain behind it (fullchain.pem)."""
    key: FilePath
    """PEM file of its key, without a passphrase (privkey.pem)."""
