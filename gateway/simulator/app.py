"""The simulator as an ASGI app: TikTok's endpoints, and the controls under `/simulator/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.simulator import controls
from gateway.simulator.api import user_info, video_list, video_query
from gateway.simulator.authorize import authorize
from gateway.simulator.connections import show_connections
from gateway.simulator.oauth import revoke, token
from gateway.simulator.qr import check_qrcode, get_qrcode, phone
from gateway.simulator.refusal import note_error
from gateway.simulator.seen import show_requests
from gateway.simulator.state import Simulator

Act = Callable[[Request], Awaitable[Response]]
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def create_app(simulator: Simulator | None = None) -> Starlette:
    """Return the app; its state is `app.state.simulator`."""
    app = Starlette(
        routes=[
            # of TikTok's two hosts, the one for people takes both; that of the API only what ends with a slash
            _endpoint("/v2/auth/authorize/", authorize, "GET", "POST"),
            _endpoint("/v2/auth/authorize", authorize, "GET", "POST"),
            _endpoint("/v2/oauth/token/", token, "POST"),
            _endpoint("/v2/oauth/revoke/", revoke, "POST"),
            _endpoint("/v2/oauth/get_qrcode/", get_qrcode, "POST"),
            _endpoint("/v2/oauth/check_qrcode/", check_qrcode, "POST"),
            _endpoint("/v2/user/info/", user_info, "GET"),
            _endpoint("/v2/video/list/", video_list, "POST"),
            _endpoint("/v2/video/query/", video_query, "POST"),
            Route("/simulator/phone", phone, methods=["GET", "POST"]),
            Route("/simulator/connections", show_connections, methods=["GET", "POST"]),
            Route("/simulator/requests", show_requests),
            *controls.ROUTES,
            Route("/favicon.ico", _nothing),
            _endpoint("/{path:path}", unsupported, *_METHODS),
        ]
    )
    app.router.redirect_slashes = False
    app.state.simulator = simulator or Simulator()
    return app


def _endpoint(path: str, act: Act, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        # another method, like a missing slash at the end, is a path TikTok does not know
        response = await (act if request.method in methods else unsupported)(request)
        await request.app.state.simulator.requests.add(request, response)
        return response

    return Route(path, answer, methods=_METHODS)


async def _nothing(request: Request) -> Response:
    """Browsers ask for this, and no app does."""
    return Response(status_code=404)


async def unsupported(request: Request) -> Response:
    """What TikTok says of a path or method it does not know."""
    path = request.url.path
    known = {route.path for route in request.app.routes if route.path.startswith("/v2/")}
    if path in known:
        hint = f"{request.method} is not what this path takes."
    elif f"{path}/" in known:
        hint = f"The path ends with a slash: {path}/"
    elif path.startswith(("/v1/", "/oauth/", "/platform/")):
        hint = "Version 1 of the API is gone since February 2024: its successor's paths begin with /v2/."
    else:
        hint = f"There are {', '.join(sorted(known))}."
    note_error(request, "Unsupported path(Janus)", hint)
    return PlainTextResponse("Unsupported path(Janus)", status_code=404)
