"""The gateway, with everything on: session in Redis, identity headers, a JSON log line a request, metrics, admin."""

from __future__ import annotations

import dataclasses

from benchmarks.peers.peer import Peer
from benchmarks.peers.sign_in import sign_in_with_tiktok
from benchmarks.stage import PYTHON
from gateway.simulator import SimulatorSettings

_APP = SimulatorSettings()
_CONFIG = f"""
public_url: http://127.0.0.1:@{{front}}
listen: 127.0.0.1:@{{port}}
redis: redis://127.0.0.1:@{{redis}}/0
secret_keys: ["@{{secret_key}}"]
tiktok:
  client_key: {_APP.client_key}
  client_secret: {_APP.client_secret}
  authorize_url: http://127.0.0.1:@{{simulator}}/v2/auth/authorize/
  token_url: http://127.0.0.1:@{{simulator}}/v2/oauth/token/
  revoke_url: http://127.0.0.1:@{{simulator}}/v2/oauth/revoke/
  user_info_url: http://127.0.0.1:@{{simulator}}/v2/user/info/
admin:
  listen: 127.0.0.1:@{{second}}
"""
_IN_FRONT = "upstream: {url: 'http://127.0.0.1:@{app}', max_connections: 20000}\n"

GATEWAY = Peer(
    name="gateway",
    program=PYTHON,
    how_to_get="pip install .",
    command=("-m", "gateway", "run", "-c", "@{config}"),
    config=_CONFIG + _IN_FRONT,
    version=("-c", "import gateway; print(gateway.__version__)"),
    sign_in=sign_in_with_tiktok,
    identity="X-TikTok-Open-Id",
)
GATEWAY_WITHOUT_MEMORY = dataclasses.replace(
    GATEWAY, name="gateway, cache_for: 0s", config=GATEWAY.config + "session: {cache_for: 0s}\n"
)
GATEWAY_ASSERTING = dataclasses.replace(
    GATEWAY, name="gateway, with the assertion", config=GATEWAY.config + "identity: {assertion: true}\n"
)
GATEWAY_FOR_MANY = dataclasses.replace(
    GATEWAY,
    config=GATEWAY.config + "limits: {connections_per_address: 0}\n",  # they all come from the loopback
)
GATEWAY_BESIDE = dataclasses.replace(
    GATEWAY,
    name="gateway beside nginx",
    config=_CONFIG + "upstream: none\ntrusted_proxies: [127.0.0.1]\nforward_auth: {listen: '127.0.0.1:@{checks}'}\n",
)
