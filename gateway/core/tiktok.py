"""TikTok's protocol (OAuth 2) as pure functions: what to send, and how to read what comes back.

Sources: developers.tiktok.com, "Login Kit for Web", "Manage User Access Tokens", "Get User Info".

Three traps decide the shape of this file:
1. OAuth endpoints report errors as flat strings, with HTTP 200 as well as 4xx. Only `error` absent **and**
   `access_token` and `open_id` present is a success.
2. The API reports errors as an object that is always there; success is `error.code == "ok"`.
3. Whatever is not JSON (HTML, plain text, nothing) is a passing fault of the provider, never a verdict on a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from gateway.errors import (
    AccessTokenDead,
    GrantDead,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ScopeMissing,
)

MAX_TOKEN: Final = 4096
"""Longest token believed, in characters: TikTok asks for 512 at least; this only bounds what is stored."""
MAX_ID: Final = 512
"""Longest `open_id` or `union_id` believed, in characters."""

FIELDS_OF_SCOPE: Final[Mapping[str, tuple[str, ...]]] = {
    "user.info.basic": ("open_id", "union_id", "avatar_url", "display_name"),
    "user.info.profile": ("username", "is_verified"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
"""Fields of `/v2/user/info/` that the gateway uses, by the scope that permits them."""

_CONFIGURATION_ERRORS: Final = {
    "invalid_client": "TikTok does not accept the client key or secret: compare `tiktok.client_key` and "
    "`tiktok.client_secret` with the app's page at developers.tiktok.com",
    "unauthorized_client": "TikTok does not allow this app to do that: check its products and review state",
    "invalid_request": "TikTok calls the request malformed: compare the registered redirect URI with `public_url`",
    "invalid_scope": "TikTok refuses a scope in `tiktok.scopes`: the app must have been granted each of them",
    "unsupported_grant_type": "TikTok does not support this grant type: check `tiktok.token_url`",
}
_PASSING_ERRORS: Final = frozenset({"server_error", "temporarily_unavailable", "rate_limit_exceeded"})


class TokenSet(msgspec.Struct, frozen=True, gc=False):
    """The tokens of one grant, as TikTok last gave them."""

    open_id: str
    access_token: str
    refresh_token: str
    scopes: tuple[str, ...]
    obtained_at: datetime
    access_expires_at: datetime
    refresh_expires_at: datetime

    def __repr__(self) -> str:
        """Name no token: this object may end in a traceback."""
        return f"TokenSet(scopes={self.scopes}, access_expires_at={self.access_expires_at:%Y-%m-%dT%H:%M:%SZ})"


class Profile(msgspec.Struct, frozen=True, gc=False):
    """What `/v2/user/info/` told of a person; every field but `open_id` may be missing."""

    open_id: str
    union_id: str | None = None
    username: str | None = None
    display_name: str | None = None
    avatar_url: str | None = None
    is_verified: bool | None = None
    follower_count: int | None = None
    following_count: int | None = None
    likes_count: int | None = None
    video_count: int | None = None


def build_authorization_url(
    authorize_url: str,
    *,
    client_key: str,
    redirect_uri: str,
    scopes: Sequence[str],
    state: str,
    code_challenge: str | None,
    always_ask: bool,
) -> str:
    """Build the address that a visitor is sent to (Login Kit for Web, "Redirect to the authorization page").

    `client_key` rather than `client_id`, scopes joined by commas, and never the secret.
    """
    query = {
        "client_key": client_key,
        "scope": ",".join(scopes),
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if always_ask:
        query["disable_auto_auth"] = "1"
    if code_challenge is not None:
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    separator = "&" if "?" in authorize_url else "?"
    return f"{authorize_url}{separator}{urlencode(query, safe=',')}"


def read_scopes(text: str) -> tuple[str, ...]:
    """Split TikTok's comma-separated scopes; sorted, since their order differs from answer to answer."""
    return tuple(sorted({scope for scope in (part.strip() for part in text.split(",")) if scope}))


def read_token_reply(reply: object, *, asked: Sequence[str], now: datetime) -> TokenSet:
    """Read a success or error of `POST /v2/oauth/token/` (flat JSON).

    `asked` are the scopes to assume when the reply names none. Only the lifetimes in the reply count.
    Raises a `ProviderError`: `GrantDead`, `ProviderMisconfigured` or `ProviderUnavailable`.
    """
    if not isinstance(reply, dict):
        raise ProviderUnavailable("TikTok's token endpoint did not answer with a JSON object")
    log_id = _text(reply, "log_id") or ""
    if reply.get("error"):
        raise read_oauth_error(str(reply["error"]), str(reply.get("error_description") or ""), log_id=log_id)
    open_id, access_token = _text(reply, "open_id"), _text(reply, "access_token")
    refresh_token = _text(reply, "refresh_token")
    if not open_id or not access_token:
        raise ProviderUnavailable("TikTok's token reply lacks `access_token` or `open_id`", log_id=log_id)
    if len(open_id) > MAX_ID or max(len(access_token), len(refresh_token or "")) > MAX_TOKEN:
        raise ProviderUnavailable("TikTok's token reply is larger than any known one", log_id=log_id)
    scope = _text(reply, "scope")
    access_lifetime = _lifetime(reply, "expires_in")
    return TokenSet(
        open_id=open_id,
        access_token=access_token,
        refresh_token=refresh_token or "",
        scopes=read_scopes(scope) if scope is not None else tuple(sorted(asked)),
        obtained_at=now,
        access_expires_at=now + access_lifetime,
        # without a refresh token the grant lives as long as its access token
        refresh_expires_at=now + (_lifetime(reply, "refresh_expires_in") if refresh_token else access_lifetime),
    )


def read_oauth_error(error: str, description: str, *, log_id: str = "") -> ProviderError:
    """Turn an OAuth error of TikTok into ours, by its class: dead, misconfigured, or passing.

    The description is TikTok's text for developers: it goes to the log, shortened, and never to a page.
    """
    detail = f"{error}: {description[:200]}" if description else error
    if error == "invalid_grant":
        return GrantDead(f"TikTok says {detail}", log_id=log_id)
    if error in _PASSING_ERRORS:
        return ProviderUnavailable(f"TikTok says {detail}", log_id=log_id)
    if error in _CONFIGURATION_ERRORS:
        return ProviderMisconfigured(f"{_CONFIGURATION_ERRORS[error]} (TikTok says {detail})", log_id=log_id)
    # an unknown error proves nothing about the person: keep what there is
    return ProviderUnavailable(f"TikTok says {detail}, which is not a documented error", log_id=log_id)


def build_fields(scopes: Sequence[str]) -> str:
    """Return the `fields` parameter that the *granted* scopes permit; one field beyond them fails the call.

    "" where they permit none: such a call would fail too.
    """
    return ",".join(field for scope, fields in FIELDS_OF_SCOPE.items() if scope in scopes for field in fields)


def read_user_info(status: int, body: bytes, *, open_id: str = "") -> Profile:
    """Read the answer of `GET /v2/user/info/`; `open_id` is whose it is, where that was not asked.

    Raises `AccessTokenDead`, `ScopeMissing`, `ProviderMisconfigured` or `ProviderUnavailable`.
    """
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderUnavailable(f"TikTok's user info is not JSON (HTTP {status})") from None
    error = reply.get("error") if isinstance(reply, dict) else None
    if not isinstance(error, dict):
        raise ProviderUnavailable(f"TikTok's user info has no `error` object (HTTP {status})")
    if error.get("code") != "ok":
        raise _read_api_error(str(error.get("code")), status, _text(error, "log_id") or "")
    data = reply.get("data")
    user = data.get("user") if isinstance(data, dict) else None
    named = _text(user, "open_id") or open_id if isinstance(user, dict) else None
    if not isinstance(user, dict) or not named:
        raise ProviderUnavailable("TikTok's user info names no `open_id`", log_id=_text(error, "log_id") or "")
    return Profile(
        open_id=named,
        union_id=_text(user, "union_id"),
        username=_text(user, "username"),
        display_name=_text(user, "display_name"),
        avatar_url=_text(user, "avatar_url"),
        is_verified=verified if isinstance(verified := user.get("is_verified"), bool) else None,
        follower_count=_count(user, "follower_count"),
        following_count=_count(user, "following_count"),
        likes_count=_count(user, "likes_count"),
        video_count=_count(user, "video_count"),
    )


def _read_api_error(code: str, status: int, log_id: str) -> ProviderError:
    message = f"TikTok's user info says {code[:100]} (HTTP {status})"
    match code:
        case "access_token_invalid":
            return AccessTokenDead(message, log_id=log_id)
        case "scope_not_authorized":
            return ScopeMissing(message, log_id=log_id)
        case "scope_permission_missed" | "invalid_params":
            return ProviderMisconfigured(message, log_id=log_id)
        case _:
            return ProviderUnavailable(message, log_id=log_id)


def _text(reply: Mapping[str, Any], name: str) -> str | None:
    """Return a non-empty string of a reply; anything else counts as missing."""
    value = reply.get(name)
    return value if isinstance(value, str) and value else None


def _count(user: Mapping[str, Any], name: str) -> int | None:
    value = user.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _lifetime(reply: Mapping[str, Any], name: str) -> timedelta:
    value = reply.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**10:
        raise ProviderUnavailable(f"TikTok's token reply has no usable `{name}`", log_id=_text(reply, "log_id") or "")
    return timedelta(seconds=min(value, 10 * 365 * 86400))
