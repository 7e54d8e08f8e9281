"""Connects to one place of an upstream: by TCP or a unix socket, with TLS where it is spoken."""

from __future__ import annotations

import asyncio
from ssl import SSLError

from gateway.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.address import Upstream
from gateway.upstream.connection import Connection, Owner
from gateway.upstream.place import Place


async def connect(upstream: Upstream, owner: Owner, place: Place) -> Connection:
    """Return a new connection to a place, which is noted there until `owner` forgets it.

    Raises:
        UpstreamUnreachable: the place takes none.
        UpstreamTimeout: it took none in `connect_timeout` seconds.
    """
    place.open += 1
    try:
        async with asyncio.timeout(upstream.connect_timeout):
            return await _dial(upstream, owner, place)
    except (OSError, TimeoutError) as error:
        place.open -= 1
        raise _explain(upstream, place, error) from error
    except BaseException:
        place.open -= 1
        raise


async def _dial(upstream: Upstream, owner: Owner, place: Place) -> Connection:
    loop, address = asyncio.get_running_loop(), place.address
    context, name = upstream.ssl_context, place.server_name(upstream)

    def make() -> Connection:
        return Connection(upstream, owner, loop, place)

    if address.unix_path:
        _, connection = await loop.create_unix_connection(make, address.unix_path, ssl=context, server_hostname=name)
    else:
        _, connection = await loop.create_connection(
            make, address.host, address.port, ssl=context, server_hostname=name
        )
    return connection


def _explain(upstream: Upstream, place: Place, error: Exception) -> UpstreamError:
    match error:
        case TimeoutError():
            return UpstreamTimeout(f"the upstream {upstream} did not accept a connection at {place.address} in time")
        case SSLError():
            return UpstreamUnreachable(f"no TLS with the upstream {upstream} at {place.address}: {error}")
        case _:
            return UpstreamUnreachable(
                f"cannot connect to the upstream {upstream} at {place.address}: {error}; is the app running there?"
            )
