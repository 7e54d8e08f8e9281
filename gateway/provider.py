"""TikTok over HTTP: the shell round `core.tiktok`, by authlib on httpx.

The only module that knows httpx, and httpx2, its successor. Three habits keep people apart:
a fresh OAuth client for every exchange, over one shared transport; no token is ever set on a shared object; replies
are read by our own pure functions in authlib's response hook, before authlib sees them.

Foreign exceptions end here: whatever goes wrong comes out as a `ProviderError`.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import msgspec

# authlib prefers httpx2 and says so when it is imported; httpx is this project's client (see pyproject.toml). Its own
# module puts the filter for that warning in front, so it has to be loaded before ours.
with warnings.catch_warnings():
    from authlib.deprecate import AuthlibDeprecationWarning

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.common.urls import add_params_to_qs
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError

if not TYPE_CHECKING and not issubclass(AsyncOAuth2Client, httpx.AsyncClient):
    # where httpx2 is installed, as it is with Starlette's TestClient, authlib takes that: one's transport does not
    # serve the other's client, and their exceptions differ
    import httpx2 as httpx

from gateway.core.qr_code import QrCode, Scan, read_qr_code, read_scan
from gateway.core.sign_in import VerifiedCode
from gateway.core.tiktok import (
    Profile,
    TokenSet,
    build_fields,
    read_oauth_error,
    read_token_reply,
    read_user_info,
)
from gateway.errors import ProviderUnavailable

TIMEOUT: Final = timedelta(seconds=20)
"""Longest time one exchange with TikTok may take."""
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
CHECK_TIMEOUT: Final = timedelta(seconds=5)
"""Longest time that a question about a QR code may take: a page waits for it, and asks again in a moment."""
MAX_REPLY: Final = 1 << 20
"""Largest reply read, in bytes."""


class TikTokAddresses(msgspec.Struct, frozen=True):
    """TikTok's addresses, and who we are towards it."""

    client_key: str
    client_secret: str
    redirect_uri: str
    token_url: str
    revoke_url: str
    user_info_url: str
    get_qrcode_url: str
    check_qrcode_url: str

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"TikTokAddresses(client_key={self.client_key!r}, token_url={self.token_url!r})"


class TikTok:
    """The provider: redeem, refresh, revoke, user info, QR codes. Safe for concurrent use in one event loop."""

    def __init__(
        self, addresses: TikTokAddresses, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._addresses = addresses
        self._clock = clock
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def redeem(self, code: VerifiedCode) -> TokenSet:
        """Exchange an authorization code for tokens ("Fetch an access token using an authorization code").

        Raises `GrantDead` for a dead code, `ProviderMisconfigured`, or `ProviderUnavailable`.
        """
        redirect_uri = self._addresses.redirect_uri if code.redirect_uri is None else code.redirect_uri
        form = {"code": code.code} | ({"redirect_uri": redirect_uri} if redirect_uri else {})
        if code.code_verifier is not None:
            form["code_verifier"] = code.code_verifier
        replies: list[TokenSet] = []
        async with self._oauth_client() as client:
            client.register_compliance_hook("access_token_response", self._reader(replies, code.scopes_asked))
            await _translated(client.fetch_token(self._addresses.token_url, grant_type="authorization_code", **form))
        return replies[0]

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        """Renew an access token ("Refresh an access token"); the old refresh token may be dead afterwards.

        A reply without a refresh token leaves the old one in force. Raises as `redeem` does.
        """
        replies: list[TokenSet] = []
        async with self._oauth_client() as client:
            client.register_compliance_hook("refresh_token_response", self._reader(replies, tokens.scopes))
            await _translated(client.refresh_token(self._addresses.token_url, refresh_token=tokens.refresh_token))
        new = replies[0]
        if new.refresh_token:
            return new
        return msgspec.structs.replace(
            new, refresh_token=tokens.refresh_token, refresh_expires_at=tokens.refresh_expires_at
        )

    async def revoke(self, access_token: str) -> None:
        """End the person's grant to this app at TikTok, everywhere ("Revoke access").

        A token that TikTok calls dead is a success: the grant is gone. Raises `ProviderUnavailable` and others.
        """
        async with self._oauth_client() as client:
            reply = await _translated(client.revoke_token(self._addresses.revoke_url, token=access_token))
        _read_revocation(reply)

    async def user_info(self, access_token: str, scopes: Sequence[str], *, open_id: str = "") -> Profile:
        """Read what the granted scopes let us know of the person ("Get User Info").

        `open_id` is whose token it is, where the scopes do not let us ask. Without any field nothing is asked.
        """
        fields = build_fields(scopes)
        if not fields:
            return Profile(open_id=open_id)
        request = httpx.Request(
            "GET",
            httpx.URL(self._addresses.user_info_url, params={"fields": fields}),
            headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
            extensions={"timeout": _TIMEOUT.as_dict()},
        )

        async def exchange() -> httpx.Response:
            response = await self._shared_transport().handle_async_request(request)
            await response.aread()
            return response

        response = await _translated(exchange())
        assumed = "" if "open_id" in fields.split(",") else open_id
        return read_user_info(response.status_code, response.content, open_id=assumed)

    async def begin_qr_code(self, scopes: Sequence[str], state: str, ticket: str) -> QrCode:
        """Have TikTok give a code to be scanned ("Login Kit with QR Code"); our ticket is put into it."""
        form = {"client_key": self._addresses.client_key, "scope": ",".join(scopes), "state": state}
        return read_qr_code(await self._post(self._addresses.get_qrcode_url, form, TIMEOUT), ticket=ticket)

    async def check_qr_code(self, token: str) -> Scan:
        """Ask how far the person is with a code."""
        addresses = self._addresses
        form = {"client_key": addresses.client_key, "client_secret": addresses.client_secret, "token": token}
        return read_scan(await self._post(addresses.check_qrcode_url, form, CHECK_TIMEOUT))

    async def _post(self, url: str, form: Mapping[str, str], patience: timedelta) -> object:
        """Send a form, and return the JSON of the answer."""
        request = httpx.Request(
            "POST",
            url,
            data=dict(form),
            headers={"Accept": "application/json"},
            extensions={"timeout": httpx.Timeout(patience.total_seconds()).as_dict()},
        )

        async def exchange() -> httpx.Response:
            response = await self._shared_transport().handle_async_request(request)
            await response.aread()
            return response

        return _read_json(await _translated(exchange()))

    async def tell_time(self) -> datetime | None:
        """Return the `Date` of an answer of TikTok's (RFC 9110 §6.6.1), if it has one."""
        request = httpx.Request("GET", self._addresses.user_info_url, extensions={"timeout": _TIMEOUT.as_dict()})

        async def exchange() -> str:
            response = await self._shared_transport().handle_async_request(request)
            await response.aread()
            return str(response.headers.get("date", ""))

        try:
            return parsedate_to_datetime(await _translated(exchange()))
        except ValueError:
            return None

    async def close(self) -> None:
        """Close the connections to TikTok."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def _shared_transport(self) -> httpx.AsyncHTTPTransport:
        if self._transport is None:
            self._transport = httpx.AsyncHTTPTransport(retries=0)
        return self._transport

    def _oauth_client(self) -> Any:
        """Make a client for one exchange; TikTok wants its credentials in the body, under its own names."""
        return AsyncOAuth2Client(
            client_id=self._addresses.client_key,
            client_secret=self._addresses.client_secret,
            token_endpoint_auth_method=_add_credentials,
            revocation_endpoint_auth_method=_add_credentials,
            transport=_Borrowed(self._shared_transport()),
            timeout=_TIMEOUT,
            trust_env=False,
            follow_redirects=False,
        )

    def _reader(self, replies: list[TokenSet], asked: Sequence[str]) -> Callable[[httpx.Response], httpx.Response]:
        def read(response: httpx.Response) -> httpx.Response:
            replies.append(read_token_reply(_read_json(response), asked=asked, now=self._clock()))
            return response

        return read


_TIMEOUT: Final = httpx.Timeout(TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())


class _Borrowed(httpx.AsyncBaseTransport):
    """A transport that outlives the client which uses it."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._transport.handle_async_request(request)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        return None


def _add_credentials(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[str, Any, Any]:
    """Authenticate as TikTok asks: `client_key` and `client_secret` as form fields."""
    text = body.decode() if isinstance(body, bytes) else body or ""
    body = add_params_to_qs(text, [("client_key", client.client_id), ("client_secret", client.client_secret)])
    return uri, headers, body


async def _translated(exchange: Awaitable[Any]) -> Any:
    try:
        return await exchange
    except OAuthError as error:
        raise read_oauth_error(str(error.error), str(error.description or "")) from None
    except httpx.TimeoutException:
        raise ProviderUnavailable("TikTok did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ProviderUnavailable(f"TikTok cannot be reached: {type(error).__name__}") from None


def _read_json(response: httpx.Response) -> object:
    if response.status_code >= 500 or response.status_code == 429:
        raise ProviderUnavailable(f"TikTok answers HTTP {response.status_code}")
    try:
        return msgspec.json.decode(response.content[:MAX_REPLY])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProviderUnavailable(f"TikTok's answer is not JSON (HTTP {response.status_code})") from None


def _read_revocation(response: httpx.Response) -> None:
    """Success is `{}` or an empty body, with HTTP 200."""
    reply = {} if not response.content.strip() else _read_json(response)
    if isinstance(reply, dict) and reply.get("error"):
        error = str(reply["error"])
        if error not in {"invalid_grant", "access_token_invalid"}:
            raise read_oauth_error(
                error, str(reply.get("error_description") or ""), log_id=str(reply.get("log_id") or "")
            )
        return
    if response.status_code != 200:
        raise ProviderUnavailable(f"TikTok answers HTTP {response.status_code} to a revocation")
