"""What an app answers cannot bind the gateway's sessions anew, nor challenge their devices."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.browser import DeviceBrowser
from tests.harness import WAYS, serve_app
from tests.listening import serve_listening

FIELDS = {
    "Secure-Session-Registration": '(ES256);path="/app/register";challenge="c"',
    "Secure-Session-Challenge": '"c";id="x"',
}


async def binds(scope: Any, receive: Any, send: Any) -> None:
    """Answer as an app that has sessions bound to devices itself."""
    fields = [(name.encode(), value.encode()) for name, value in FIELDS.items()]
    await send({"type": "http.response.start", "status": 200, "headers": [*fields, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("binding", ["on", "off"])
def test_an_app_says_nothing_of_bindings_while_there_are_ours(
    simulator: RunningSimulator, issued: Issued, context: ssl.SSLContext, tmp_path: Path, way: str, binding: str
) -> None:
    with (
        serve_app(binds) as upstream,
        serve_listening(
            simulator, upstream, None, issued.write(tmp_path), way, session__device_binding=binding
        ) as running,
        DeviceBrowser(running.url, context) as browser,
    ):
        for target in ("/public/x", "/public/x"):  # the second is known
            told = browser.client.get(running.url + target).headers
            passed = {name: told.get(name) for name in FIELDS}
            assert passed == (FIELDS if binding == "off" else dict.fromkeys(FIELDS))
