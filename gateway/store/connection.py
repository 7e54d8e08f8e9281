"""What every connection to Redis has in common: its times, TLS, and that it leads to a master."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ReadOnlyError

from gateway.settings.redis import RedisSettings


def connection_options(settings: RedisSettings) -> dict[str, Any]:
    """Return what redis-py is told of times and protocol."""
    timeout = settings.timeout.total_seconds()
    return {"socket_connect_timeout": timeout, "health_check_interval": 0, "protocol": 2}


def tls_options(settings: RedisSettings) -> dict[str, Any]:
    """Return what redis-py is told of TLS; without the section, nothing."""
    tls = settings.tls
    if tls is None:
        return {}
    return {
        "ssl_ca_certs": str(tls.ca) if tls.ca else None,
        "ssl_certfile": str(tls.certificate) if tls.certificate else None,
        "ssl_keyfile": str(tls.key) if tls.key else None,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }


async def meet_master(connection: Any) -> None:
    """Greet Redis as redis-py does, then make sure that it is a master: an ex-master knows only the past.

    Raises `ReadOnlyError`.
    """
    await connection.on_connect()
    await connection.send_command("ROLE")
    role = await connection.read_response()
    if role[0] not in {b"master", "master"}:
        raise ReadOnlyError("this node is no master")
