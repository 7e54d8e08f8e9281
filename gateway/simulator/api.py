"""The Display API: `GET /v2/user/info/`, `POST /v2/video/list/` and `/v2/video/query/`.

One field beyond the granted scopes fails the whole call. Errors are an object that is there on success too ("Error
Handling" of the TikTok API v2, whose words the messages are).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.simulator.outage import outage
from gateway.simulator.people import Person
from gateway.simulator.refusal import note_error, show
from gateway.simulator.state import Simulator, Token
from gateway.simulator.videos import FIELDS as VIDEO_FIELDS
from gateway.simulator.videos import MOST_AT_ONCE, build_video, list_videos

PROFILE_FIELDS: Final = {
    "user.info.basic": (
        "open_id",
        "union_id",
        "avatar_url",
        "avatar_url_100",
        "avatar_large_url",
        "display_name",
    ),
    "user.info.profile": ("bio_description", "profile_deep_link", "is_verified", "username", "profile_web_link"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
_ERRORS: Final = {
    "access_token_invalid": (401, "The access token is invalid or not found in the request."),
    "scope_not_authorized": (401, "The user did not authorize the scope required for completing this request."),
    "scope_permission_missed": (400, "Access token is invalid, some fields need additional scopes."),
    "invalid_params": (400, "One or more fields in request is invalid."),
    "rate_limit_exceeded": (429, "The API rate limit was exceeded. Please try again later."),
    "internal_error": (500, "Internal error."),
}


class ApiError(Exception):
    """An error of the Display API: its code, and a hint for the app's developer."""

    def __init__(self, code: str, hint: str) -> None:
        super().__init__(code)
        self.code = code
        self.hint = hint


async def user_info(request: Request) -> Response:
    """Tell about the person whose token this is."""

    def act(simulator: Simulator, token: Token, _: Mapping[str, Any]) -> dict[str, Any]:
        fields = _read_fields(request, PROFILE_FIELDS, token)
        facts = {field: _read_fact(token.person, field) for field in fields}
        if simulator.troubles.omit_union_id or facts.get("union_id") is None:
            facts.pop("union_id", None)
        return {"user": facts}

    return await _answer(request, "user_info", act)


async def video_list(request: Request) -> Response:
    """Tell a person's videos, the newest first, page by page ("List Videos")."""

    def act(simulator: Simulator, token: Token, body: Mapping[str, Any]) -> dict[str, Any]:
        fields = _read_fields(request, VIDEO_FIELDS, token)
        count = _read_number(body, "max_count", 10, MOST_AT_ONCE)
        cursor = _read_number(body, "cursor", 0, None)
        page = list_videos(token.person, cursor, count)
        videos = [build_video(token.person, number, fields) for number in page.numbers]
        return {"videos": videos, "cursor": page.cursor, "has_more": page.has_more}

    return await _answer(request, "video_list", act)


async def video_query(request: Request) -> Response:
    """Tell about some of a person's videos, by their ids; of others, nothing ("Query Videos")."""

    def act(simulator: Simulator, token: Token, body: Mapping[str, Any]) -> dict[str, Any]:
        fields = _read_fields(request, VIDEO_FIELDS, token)
        filters = body.get("filters")
        ids = filters.get("video_ids") if isinstance(filters, dict) else None
        if not isinstance(ids, list) or not 0 < len(ids) <= MOST_AT_ONCE:
            raise ApiError("invalid_params", f'Wanted is {{"filters": {{"video_ids": [...]}}}}, 1 to {MOST_AT_ONCE}.')
        page = list_videos(token.person, 0, token.person.video_count)
        every = {build_video(token.person, number, ("id",))["id"]: number for number in page.numbers}
        chosen = [every[str(each)] for each in ids if str(each) in every]
        return {"videos": [build_video(token.person, number, fields) for number in chosen]}

    return await _answer(request, "video_query", act)


Act = Callable[[Simulator, Token, Mapping[str, Any]], dict[str, Any]]


async def _answer(request: Request, name: str, act: Act) -> Response:
    simulator: Simulator = request.app.state.simulator
    simulator.calls[name] += 1
    trouble = await outage(request, simulator.troubles, simulator.troubles.user_info_delay)
    if trouble is not None:
        return trouble
    try:
        if simulator.troubles.user_info_error:
            raise ApiError(simulator.troubles.user_info_error, "The switch is user_info_error.")
        token = _read_token(request, simulator)
        return _build_answer("ok", act(simulator, token, await _read_body(request)))
    except ApiError as error:
        note_error(request, error.code, error.hint)
        return _build_answer(error.code, {}, error.hint if simulator.troubles.hints else "")


def _read_token(request: Request, simulator: Simulator) -> Token:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    token = simulator.live(simulator.access_tokens, text)
    if scheme != "Bearer" or token is None:
        if scheme != "Bearer":
            hint = f"Wanted is `Authorization: Bearer act...`; its scheme came as {show(scheme or None)}."
        elif text not in simulator.access_tokens:
            hint = "There was never such an access token."
        else:
            hint = "The access token has ended: by its time (switch access_lifetime), or the grant was revoked."
        raise ApiError("access_token_invalid", hint)
    return token


async def _read_body(request: Request) -> Mapping[str, Any]:
    body = await request.body()
    if request.method != "POST" or not body:
        return {}
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError("invalid_params", f"The body is no JSON: {error}.") from error
    if not isinstance(read, dict):
        raise ApiError("invalid_params", "The body must be a JSON object.")
    return read


def _read_fields(request: Request, known: Mapping[str, Sequence[str]], token: Token) -> Sequence[str]:
    """Return the wanted fields. Raises `ApiError` for one that is unknown, or beyond the granted scopes."""
    fields = [field for field in request.query_params.get("fields", "").split(",") if field]
    scope_of = {field: scope for scope, listed in known.items() for field in listed}
    if not fields:
        raise ApiError("invalid_params", f"`fields` is missing from the query; there are {', '.join(scope_of)}.")
    if unknown := [field for field in fields if field not in scope_of]:
        raise ApiError("invalid_params", f"There is no field {show(unknown[0])}; there are {', '.join(scope_of)}.")
    if beyond := [field for field in fields if scope_of[field] not in token.scopes]:
        wanted = ", ".join(f"{field} (of {scope_of[field]})" for field in beyond)
        granted = ", ".join(token.scopes)
        raise ApiError("scope_not_authorized", f"Granted is {granted}; {wanted} is beyond that, so the call fails.")
    return fields


def _read_number(body: Mapping[str, Any], name: str, default: int, most: int | None) -> int:
    value = body.get(name, default)
    if type(value) is not int or value < 0 or (most is not None and not 1 <= value <= most):
        bounds = f"from 1 to {most}" if most is not None else "from 0 on"
        raise ApiError("invalid_params", f"{name} came as {show(str(value))}; it is a number {bounds}.")
    return value


def _read_fact(person: Person, field: str) -> Any:
    match field:
        case "avatar_url_100" | "avatar_large_url":
            return person.avatar_url
        case "profile_deep_link":
            return f"https://vm.tiktok.example/{person.username}/"
        case "profile_web_link":
            return f"https://www.tiktok.example/@{person.username}"
        case _:
            return getattr(person, field)


def _build_answer(code: str, data: dict[str, Any], hint: str = "") -> Response:
    status, message = (200, "") if code == "ok" else _ERRORS.get(code, (400, code))
    error = {"code": code, "message": message, "log_id": secrets.token_hex(10)}
    if hint:
        error["hint"] = hint
    return JSONResponse({"data": data, "error": error}, status_code=status)
