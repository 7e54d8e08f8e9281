"""`gateway simulator`."""

from __future__ import annotations

from gateway.runtime.listen import bind
from gateway.settings import Listen
from gateway.simulator import SimulatorSettings, serve


def simulator(port: int) -> None:
    """Serve the simulator until Ctrl-C."""
    settings = SimulatorSettings()
    with bind(Listen("127.0.0.1", port), "--port") as listener:
        port = listener.getsockname()[1]
        _explain(port, settings)
        serve(listener, settings)


def _explain(port: int, settings: SimulatorSettings) -> None:
    print(
        f"""TikTok simulator on http://127.0.0.1:{port}

  client key     {settings.client_key}
  client secret  {settings.client_secret}

Point an app at it, for example in gateway.yaml:

tiktok:
  client_key: {settings.client_key}
  client_secret: {settings.client_secret}
  authorize_url: http://127.0.0.1:{port}/v2/auth/authorize/
  token_url: http://127.0.0.1:{port}/v2/oauth/token/
  revoke_url: http://127.0.0.1:{port}/v2/oauth/revoke/
  user_info_url: http://127.0.0.1:{port}/v2/user/info/
  get_qrcode_url: http://127.0.0.1:{port}/v2/oauth/get_qrcode/
  check_qrcode_url: http://127.0.0.1:{port}/v2/oauth/check_qrcode/

Trouble switches: GET and PATCH http://127.0.0.1:{port}/simulator/troubles
Stop with Ctrl-C.""",
        flush=True,
    )
