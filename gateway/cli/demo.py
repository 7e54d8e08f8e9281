"""`gateway demo`: everything on loopback, from nothing."""

from __future__ import annotations

from gateway.core.keyring import new_secret_key
from gateway.runtime.listen import bind
from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.runtime.serve import run
from gateway.settings import Listen, load
from gateway.simulator import SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator


def demo(port: int) -> None:
    """Run simulator, sample app, embedded store and gateway until Ctrl-C.

    Raises `StartError` when the port is taken, before anything is said of it.
    """
    with bind(Listen("127.0.0.1", port), "--port") as listener:
        port = listener.getsockname()[1]
    public_url = f"http://127.0.0.1:{port}"
    with run_simulator(SimulatorSettings()) as simulator, run_sample_app() as upstream:
        settings = load(
            None,
            {
                "GATEWAY__PUBLIC_URL": public_url,
                "GATEWAY__LISTEN": f"127.0.0.1:{port}",
                "GATEWAY__UPSTREAM": upstream,
                "GATEWAY__REDIS": "memory://",
                "GATEWAY__SECRET_KEYS": f'["{new_secret_key()}"]',
                "GATEWAY__TIKTOK__CLIENT_KEY": simulator.settings.client_key,
                "GATEWAY__TIKTOK__CLIENT_SECRET": simulator.settings.client_secret,
                "GATEWAY__TIKTOK__SCOPES": '["user.info.basic", "user.info.profile"]',
                "GATEWAY__TIKTOK__AUTHORIZE_URL": simulator.authorize_url,
                "GATEWAY__TIKTOK__TOKEN_URL": simulator.token_url,
                "GATEWAY__TIKTOK__REVOKE_URL": simulator.revoke_url,
                "GATEWAY__TIKTOK__USER_INFO_URL": simulator.user_info_url,
                "GATEWAY__ADMIN__LISTEN": "off",
                "GATEWAY__LOG__FORMAT": "console",
            },
        )
        print(
            f"""
  Open {public_url}

  TikTok simulator  {simulator.url}
  sample app        {upstream} (try it: it knows nobody without the gateway)
  store             embedded, gone at the end

  Stop with Ctrl-C.
""",
            flush=True,
        )
        run(settings)
