"""The apps that a person has connected, as TikTok's settings list them; there they can be disconnected."""

from __future__ import annotations

import time
from html import escape

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.simulator.form import read_form
from gateway.simulator.page import PAGE
from gateway.simulator.state import Simulator
from gateway.simulator.webhook import deliver


async def show_connections(request: Request) -> Response:
    """List who has connected which app, or disconnect one: the app's webhook is told, as by TikTok."""
    simulator: Simulator = request.app.state.simulator
    if request.method == "POST":
        form = await read_form(request)
        open_id, client_key = form.get("open_id", [""])[0], form.get("client_key", [""])[0]
        simulator.disconnect(open_id, client_key)
        answer = RedirectResponse("/simulator/connections", status_code=303)
        answer.background = BackgroundTask(tell_removed, simulator, open_id, client_key)
        return answer
    return HTMLResponse(PAGE.format(title="TikTok simulator: connections", body=_build_list(simulator)))


async def tell_removed(simulator: Simulator, open_id: str, client_key: str) -> None:
    """Tell an app's webhook that a person has disconnected it, again and again until it says 200."""
    app = simulator.settings.find_app(client_key)
    if app is None or app.webhook_url is None:
        return
    await deliver(
        app.webhook_url,
        "authorization.removed",
        open_id,
        client_key=app.client_key,
        secret=app.client_secret,
        pause=simulator.troubles.webhook_pause,
    )


def _build_list(simulator: Simulator) -> str:
    with simulator.lock:
        live = {
            (token.person, token.client_key)
            for token in simulator.refresh_tokens.values()
            if not token.dead and time.time() < token.expires_at
        }
    if not live:
        return "<h1>Connected apps</h1><p>Nobody has connected any.</p>"
    rows = "".join(
        f'<form method="post"><fieldset><legend><bdi>{escape(person.display_name)}</bdi></legend>'
        f"<p>{escape(client_key)}</p>"
        f'<input type="hidden" name="open_id" value="{escape(person.open_id)}">'
        f'<input type="hidden" name="client_key" value="{escape(client_key)}">'
        f"<button>Remove access</button></fieldset></form>"
        for person, client_key in sorted(live, key=lambda each: (each[0].open_id, each[1]))
    )
    return f'<h1>Connected apps</h1><p class="note">As in the settings of TikTok, of everybody at once.</p>{rows}'
