"""The controls under `/simulator/`: for tests in any language, and for whoever tries an app by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.simulator.state import Simulator
from gateway.simulator.webhook import send_webhook


class WrongControl(Exception):
    """A control was given something wrong; the text says what."""


async def troubles(request: Request) -> Response:
    """Show the switches, or set some."""
    switches = _simulator(request).troubles
    if request.method == "PATCH":
        try:
            switches.update(await _read_object(request))
        except ValueError as error:
            raise WrongControl(str(error)) from error
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
    """End a person's grants, as they would in TikTok's settings: `{"open_id": …}`."""
    open_id = (await _read_object(request)).get("open_id")
    if open_id not in {person.open_id for person in _simulator(request).people.values()}:
        raise WrongControl('wanted is {"open_id": "..."}, of one of /simulator/people')
    _simulator(request).disconnect(open_id)  # and no webhook: a test sends the one that it wants
    return JSONResponse({})


async def webhook(request: Request) -> Response:
    """Send a signed webhook: `{"url", "event"}`, and any other argument of `send_webhook`."""
    settings = _simulator(request).settings
    asked = dict(await _read_object(request))
    asked.setdefault("url", settings.webhook_url)
    if not asked["url"] or not asked.get("event"):
        raise WrongControl('wanted is {"url": "...", "event": "authorization.removed"}; --webhook-url is a url for all')
    try:
        answer = await run_in_threadpool(
            send_webhook,
            asked.pop("url"),
            asked.pop("event"),
            asked.pop("open_id", None),
            client_key=settings.client_key,
            secret=asked.pop("secret", settings.client_secret),
            **asked,
        )
    except httpx.HTTPError as error:
        return JSONResponse({"problem": f"the webhook was not delivered: {error}"}, status_code=502)
    except (KeyError, TypeError, AttributeError, ValueError, httpx.InvalidURL) as error:
        raise WrongControl(f"{type(error).__name__}: {error}") from error
    return JSONResponse({"status": answer.status_code})


async def _read_object(request: Request) -> Mapping[str, Any]:
    try:
        read = await request.json()
    except (ValueError, RecursionError) as error:
        raise WrongControl(f"the body is no JSON: {error}") from error
    if not isinstance(read, dict):
        raise WrongControl("the body must be a JSON object")
    return read


def _simulator(request: Request) -> Simulator:
    simulator: Simulator = request.app.state.simulator
    return simulator


def _control(path: str, act: Any, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            response: Response = await act(request)
        except WrongControl as wrong:
            return JSONResponse({"problem": str(wrong)}, status_code=400)
        return response

    return Route(path, answer, methods=methods)


ROUTES: Final = (
    _control("/simulator/troubles", troubles, "GET", "PATCH"),
    _control("/simulator/calls", calls, "GET"),
    _control("/simulator/people", people, "GET"),
    _control("/simulator/reset", reset, "POST"),
    _control("/simulator/disconnect", disconnect, "POST"),
    _control("/simulator/webhook", webhook, "POST"),
)
