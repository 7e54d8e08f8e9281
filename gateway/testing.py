"""For the tests of an app that the gateway is around: people are signed in by a word, without TikTok and without Redis.

import os
from gateway.testing import environment, signed_in
os.environ.update(environment())      # before the app is imported: settings that need nothing else
with signed_in(open_id="ada", scopes=["video.list"]):
    client.get("/videos")             # any client of the protected app, in this process

Everything but TikTok is as ever: routes decide, headers are sent, signing out ends the session. It works with
`redis: memory://` only, so that no gateway that serves anybody lets in who is named here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch
from weakref import WeakKeyDictionary

import msgspec

from gateway.core.grant import Grant
from gateway.core.keyring import new_secret_key
from gateway.core.session import build_session_key, new_session_id
from gateway.core.tiktok import Profile, TokenSet
from gateway.flows.authentication import Authentication
from gateway.flows.sessions import Sessions, SignedIn
from gateway.settings import Settings, load
from gateway.store.company import welcome_company
from gateway.store.embedded import EmbeddedStore
from gateway.web.behind.user import build_auth, build_user
from gateway.web.behind.visit import VISIT_KEY
from gateway.web.wsgi.user import USER_KEY
from gateway.wsgi import User, protect

__all__ = [
    "Profile",
    "asgi_scope",
    "django_environ",
    "environment",
    "sign_out",
    "signed_in",
    "wsgi_environ",
]

BASIC: Final = ("user.info.basic", "user.info.profile")
_LASTS: Final = timedelta(days=1)  # TikTok's access tokens do


def environment(public_url: str = "http://testserver") -> dict[str, str]:
    """Return variables that are settings for tests; `public_url` is where the client says it asks.

    Starlette's and Django's clients ask `http://testserver`, Flask's `http://localhost`.
    """
    welcome_company()  # tests run in several processes at once, each with sessions of its own
    return {
        "GATEWAY__PUBLIC_URL": public_url,
        "GATEWAY__REDIS": "memory://",
        "GATEWAY__SECRET_KEYS": new_secret_key(),
        "GATEWAY__TIKTOK__CLIENT_KEY": "test",
        "GATEWAY__TIKTOK__CLIENT_SECRET": "test",
    }


@contextlib.contextmanager
def signed_in(
    open_id: str = "-000test",
    *,
    scopes: Sequence[str] = BASIC,
    username: str | None = "tester",
    display_name: str | None = "Test Er",
    profile: Profile | None = None,
    access_token: str = "act.test",  # noqa: S107 -- opens nothing
) -> Generator[None]:
    """Have every request to every gateway in this process come from this person, who is signed in, until the end.

    `scopes` are what they have granted, besides `user.info.basic`. A `profile` says more of them than `username` and
    `display_name`: followers, for instance. Raises `RuntimeError` at a request whose gateway has another store than
    `memory://`.
    """
    welcome_company()
    told = profile or Profile(open_id=open_id, username=username, display_name=display_name)
    told = msgspec.structs.replace(told, open_id=open_id)
    person = _Person(_build_grant(open_id, dict.fromkeys(("user.info.basic", *scopes)), told, access_token))
    with (
        patch.object(Authentication, "read_session_keys", lambda *_: (person.key,)),
        patch.object(Sessions, "read", person.read_as(Sessions.read)),
    ):
        yield


def wsgi_environ(open_id: str | None = "-000test", **person: Any) -> dict[str, Any]:
    """Return what an app sees in its environ of somebody who is signed in; None for a visitor who is not.

    It is for tests that call an app, or a view of it, past the gateway, whose routes decide nothing there:
    `app.test_request_context(environ_overrides=wsgi_environ("ada"))` of Flask, or Django's client, which knows no
    middleware but Django's: `django.test.Client(**wsgi_environ("ada"))`. `person` is as in `signed_in`.
    """
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    token = person.get("access_token", "act.test")
    protected = protect(app, _settings())
    asked = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "testserver", "wsgi.url_scheme": "http"}
    with signed_in(open_id, **person) if open_id is not None else contextlib.nullcontext():
        list(protected(asked, lambda *_: None))
    protected.close()
    if open_id is not None:
        seen[USER_KEY] = User(seen["gateway.identity"], "", lambda *_: token)
    kept = ("HTTP_X_TIKTOK_", "REMOTE_USER", "gateway.")
    return {name: value for name, value in seen.items() if name.startswith(kept)}


django_environ = wsgi_environ
"""The same, by the name of whose client needs it most."""


def asgi_scope(open_id: str | None = "-000test", **person: Any) -> dict[str, Any]:
    """Return a scope of somebody who is signed in; None for a visitor who is not.

    As `wsgi_environ`, for what calls an endpoint of Starlette or FastAPI past the gateway: `await
    endpoint(Request(asgi_scope("ada")))`.
    """
    told = wsgi_environ(open_id, **person)
    token: str = person.get("access_token", "act.test")

    async def ask(*_: object) -> str:
        return token

    identity = told.get("gateway.identity")
    named = {name.removeprefix("HTTP_"): value for name, value in told.items() if not name.startswith("gateway.")}
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in named.items()],
        "user": build_user(identity, "", ask),
        "auth": build_auth(identity),
        VISIT_KEY: told[VISIT_KEY],
    }


def sign_out(client: Any, path: str = "/oauth2/sign_out") -> Any:
    """Sign out as the button on a page of the app does, and return the answer.

    `client` is Starlette's, Flask's, Werkzeug's or httpx's, of which an `AsyncClient` is to be awaited. A plain POST is
    refused there, as another site's page could have sent it.
    """
    return client.post(path, headers={"sec-fetch-site": "same-origin"})


class _Person:
    """Somebody who signs in at each gateway that is asked, once: who signs out there is signed out."""

    def __init__(self, grant: Grant) -> None:
        key = build_session_key(new_session_id().encode())
        assert key is not None  # noqa: S101 -- we made it
        self.key = key
        self._grant = grant
        self._keys: WeakKeyDictionary[Sessions, str] = WeakKeyDictionary()

    def read_as(self, read: Any) -> Any:
        """Return what stands in for `Sessions.read`."""

        async def read_theirs(sessions: Sessions, key: str, now: datetime) -> SignedIn | None:
            named = await self._sign_in(sessions) if key == self.key else key
            found: SignedIn | None = await read(sessions, named, now)
            return found

        return read_theirs

    async def _sign_in(self, sessions: Sessions) -> str:
        if not isinstance(sessions._store, EmbeddedStore):
            raise RuntimeError("gateway.testing signs in only where the settings have `redis: memory://`")
        if sessions not in self._keys:
            session_id = await sessions.begin(self._grant, user_agent="gateway.testing", now=datetime.now(UTC))
            self._keys[sessions] = build_session_key(session_id.encode()) or ""
        return self._keys[sessions]


def _build_grant(open_id: str, scopes: Iterable[str], profile: Profile, access_token: str) -> Grant:
    now = datetime.now(UTC)
    tokens = TokenSet(
        open_id=open_id,
        access_token=access_token,
        refresh_token="rft.test",  # noqa: S106 -- opens nothing
        scopes=tuple(scopes),
        obtained_at=now,
        access_expires_at=now + _LASTS,
        refresh_expires_at=now + 365 * _LASTS,
    )
    return Grant(tokens=tokens, profile=profile, profile_read_at=now, granted_at=now)


def _settings() -> Settings:
    variables = environment() | {"GATEWAY__ROUTES": "[{path: /**, access: optional}]"}
    return load(None, variables, needs_upstream=False)
