"""The simulator as an ASGI app: TikTok's endpoints, and the controls under `/simulator/`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.simulator.api import user_info
from gateway.simulator.authorize import authorize
from gateway.simulator.oauth import revoke, token
from gateway.simulator.qr import check_qrcode, get_qrcode, phone
from gateway.simulator.state import Simulator
from gateway.simulator.webhook import send_webhook

Act = Callable[[Request], Awaitable[Response]]


def create_app(simulator: Simulator | None = None) -> Starlette:
    """Return the app; its state is `app.state.simulator`."""
    app = Starlette(
        routes=[
            _endpoint("/v2/auth/authorize/", authorize, "GET", "POST"),
            _endpoint("/v2/oauth/token/", token, "POST"),
            _endpoint("/v2/oauth/revoke/", revoke, "POST"),
            _endpoint("/v2/user/info/", user_info, "GET"),
            _endpoint("/v2/oauth/get_qrcode/", get_qrcode, "POST"),
            _endpoint("/v2/oauth/check_qrcode/", check_qrcode, "POST"),
            Route("/simulator/phone", phone, methods=["GET", "POST"]),
            Route("/simulator/troubles", troubles, methods=["GET", "PATCH"]),
            Route("/simulator/calls", calls),
            Route("/simulator/people", people),
            Route("/simulator/reset", reset, methods=["POST"]),
            Route("/simulator/disconnect", disconnect, methods=["POST"]),
            Route("/simulator/webhook", webhook, methods=["POST"]),
            Route("/{path:path}", unsupported, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
    )
    app.router.redirect_slashes = False
    app.state.simulator = simulator or Simulator()
    return app


def _endpoint(path: str, act: Act, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        # another method, like a missing slash at the end, is a path TikTok does not know
        return await act(request) if request.method in methods else await unsupported(request)

    return Route(path, answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


async def unsupported(request: Request) -> Response:
    """What TikTok says of a path or method it does not know."""
    return PlainTextResponse("Unsupported path(Janus)", status_code=404)


async def troubles(request: Request) -> Response:
    """Show the switches, or set some."""
    switches = _simulator(request).troubles
    if request.method == "PATCH":
        try:
            switches.update(await request.json())
        except (ValueError, AttributeError) as error:
            return JSONResponse({"problem": str(error)}, status_code=400)
    return JSONResponse(switches.as_dict())


async def calls(request: Request) -> Response:
    """Count the calls, by endpoint and grant type."""
    return JSONResponse(dict(_simulator(request).calls))


async def people(request: Request) -> Response:
    """List the people."""
    return JSONResponse({key: dataclasses.asdict(person) for key, person in _simulator(request).people.items()})


async def reset(request: Request) -> Response:
    """Forget everything."""
    _simulator(request).reset()
    return JSONResponse({})


async def disconnect(request: Request) -> Response:
    """End a person's grant, as they would in TikTok's settings: `{"open_id": …}`."""
    _simulator(request).disconnect((await request.json())["open_id"])
    return JSONResponse({})


async def webhook(request: Request) -> Response:
    """Send a signed webhook: `{"url", "event"}`, and any other argument of `send_webhook`."""
    settings = _simulator(request).settings
    try:
        asked = await request.json()
        answer = await run_in_threadpool(
            send_webhook,
            asked.pop("url"),
            asked.pop("event"),
            asked.pop("open_id", None),
            client_key=settings.client_key,
            secret=asked.pop("secret", settings.client_secret),
            **asked,
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        return JSONResponse({"problem": f"{type(error).__name__}: {error}"}, status_code=400)
    return JSONResponse({"status": answer.status_code})


def _simulator(request: Request) -> Simulator:
    simulator: Simulator = request.app.state.simulator
    return simulator
