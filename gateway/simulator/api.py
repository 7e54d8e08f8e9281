"""`GET /v2/user/info/`: one field beyond the granted scopes fails the whole call."""

from __future__ import annotations

import secrets
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.simulator.outage import outage
from gateway.simulator.people import Person
from gateway.simulator.state import Simulator

_FIELDS: Final = {
    "user.info.basic": (
        "open_id",
        "union_id",
        "avatar_url",
        "avatar_url_100",
        "avatar_large_url",
        "display_name",
    ),
    "user.info.profile": ("bio_description", "profile_deep_link", "is_verified", "username"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
_STATUS: Final = {
    "access_token_invalid": 401,
    "scope_not_authorized": 401,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
}


async def user_info(request: Request) -> Response:
    """Tell about the person whose token this is."""
    simulator: Simulator = request.app.state.simulator
    simulator.calls["user_info"] += 1
    trouble = await outage(request, simulator.troubles, simulator.troubles.user_info_delay)
    if trouble is not None:
        return trouble
    if simulator.troubles.user_info_error:
        return _answer(simulator.troubles.user_info_error)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    token = simulator.live(simulator.access_tokens, text)
    if scheme != "Bearer" or token is None:
        return _answer("access_token_invalid")
    fields = [field for field in request.query_params.get("fields", "").split(",") if field]
    known = {field for listed in _FIELDS.values() for field in listed}
    if not fields or not set(fields) <= known:
        return _answer("invalid_params")
    granted = {field for scope in token.scopes for field in _FIELDS.get(scope, ())}
    if not set(fields) <= granted:
        return _answer("scope_not_authorized")
    facts = {field: _fact(token.person, field) for field in fields}
    if simulator.troubles.omit_union_id or facts.get("union_id") is None:
        facts.pop("union_id", None)
    return _answer("ok", facts)


def _fact(person: Person, field: str) -> Any:
    match field:
        case "avatar_url_100" | "avatar_large_url":
            return person.avatar_url
        case "profile_deep_link":
            return f"https://vm.tiktok.example/{person.username}/"
        case _:
            return getattr(person, field)


def _answer(code: str, facts: dict[str, Any] | None = None) -> Response:
    error = {"code": code, "message": "" if code == "ok" else code, "log_id": secrets.token_hex(10)}
    data = {"user": facts} if facts is not None else {}
    return JSONResponse({"data": data, "error": error}, status_code=200 if code == "ok" else _STATUS.get(code, 400))
