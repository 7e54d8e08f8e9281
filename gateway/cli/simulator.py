"""`gateway simulator`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.errors import StartError
from gateway.runtime.listen import bind
from gateway.settings import Listen
from gateway.simulator import (
    Simulator,
    SimulatorFile,
    TrustmeMissing,
    WrongFile,
    build_simulator,
    find_url,
    make_certificate,
    read_file,
    serve,
)


def simulator(
    host: str, port: int, *, config: Path | None, ca_file: Path | None, names: Sequence[str], **changes: Any
) -> None:
    """Serve the simulator until Ctrl-C; over TLS with a `ca_file`, where its authority is saved.

    `changes` are fields of the first app; those that are None are as the file says. Raises `StartError`.
    """
    try:
        told = SimulatorFile() if config is None else read_file(config)
        built = build_simulator(told, **{name: value for name, value in changes.items() if value is not None})
    except WrongFile as error:
        raise StartError(str(error)) from error
    with bind(Listen(host, port), "--port") as listener, contextlib.ExitStack() as stack:
        certificate = None
        if ca_file is not None:
            try:
                certificate = stack.enter_context(make_certificate(ca_file, names))
            except (TrustmeMissing, OSError) as error:
                raise StartError(f"--tls: {error}") from error
        _explain(find_url(listener, certificate), built, ca_file)
        built.requests.tell = lambda seen: print(seen.describe(), flush=True)
        serve(listener, built, certificate)


def _explain(url: str, built: Simulator, ca_file: Path | None) -> None:
    settings = built.settings
    others = "".join(f"\n  and the app    {app.client_key}" for app in settings.more_apps)
    authority = (
        f"\n  authority      {ca_file}: have your app trust it; it is a new one at each start" if ca_file else ""
    )
    print(
        f"""TikTok simulator on {url}

  client key     {settings.client_key}
  client secret  {settings.client_secret}{others}{authority}

Point an app at it, for example in gateway.yaml:

tiktok:
  client_key: {settings.client_key}
  client_secret: {settings.client_secret}
  authorize_url: {url}/v2/auth/authorize/
  token_url: {url}/v2/oauth/token/
  revoke_url: {url}/v2/oauth/revoke/
  user_info_url: {url}/v2/user/info/
  get_qrcode_url: {url}/v2/oauth/get_qrcode/
  check_qrcode_url: {url}/v2/oauth/check_qrcode/

What apps sent: {url}/simulator/requests, and below
Trouble switches: GET and PATCH {url}/simulator/troubles
Connected apps, and how people remove them: {url}/simulator/connections
Stop with Ctrl-C.
""",
        flush=True,
    )
