"""The section `forward_auth`: where and how fronts ask about requests that they serve themselves."""

from __future__ import annotations

from gateway.settings.listening import OptionalListen, PrivateListeners
from gateway.settings.secret import StrongKey
from gateway.settings.section import Section


class ForwardAuthSettings(Section):
    """Where and how fronts ask about requests that they serve themselves.

    A browser can send whatever a front sends, so a check is told an identity only if it comes over `listen`, or with
    the `secret`.
    """

    listen: PrivateListeners = ()
    """Address, or a list of them, where only checks are answered: host:port or unix:/path, which only fronts reach."""
    grpc: OptionalListen = None
    """Address where Envoy asks by gRPC (envoy.service.auth.v3), which only Envoy reaches; needs the extra `grpc`."""
    secret: StrongKey | None = None
    """What a front sends as X-Gateway-Check with its checks, and with nothing else, on the public listener."""
