"""The section `tiktok`: the app at developers.tiktok.com, and what it asks of people."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from gateway.settings.problem import KeyFault, quote
from gateway.settings.route import SCOPE
from gateway.settings.scalars import Duration, Endpoint
from gateway.settings.secret import Token, Word
from gateway.settings.section import Section, Strings

_OWNERSHIP_FILE: Final = re.compile(r"/?(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*[A-Za-z0-9_~-][A-Za-z0-9._~-]*\.txt")
_OWNERSHIP_TEXT: Final = re.compile(r"[\x20-\x7e\r\n]{1,4096}")


class WebhookSettings(Section):
    """TikTok's webhooks: {public_url}{prefix}/webhook is the address to register."""

    enabled: bool = True
    """Take webhooks."""
    tolerance: Duration = timedelta(hours=73)
    """Oldest signature taken; TikTok tries for 72 hours."""
    forward_to: str | None = None
    """Path of the app to which every event is passed on, by a POST with X-Gateway-Event."""

    @field_validator("forward_to")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", path):
            raise ValueError("must be a path like /tiktok/events")
        return path


Pkce = Annotated[Literal["hex", "base64url", "off"], BeforeValidator(lambda value: "off" if value is False else value)]


class TikTokSettings(Section):
    """The app at developers.tiktok.com, and what it asks of people."""

    client_key: Word = Field(min_length=1)
    """Client key of the app (TikTok calls it key, not id)."""
    client_secret: Token = Field(min_length=1)
    """Client secret of the app."""
    scopes: Strings = ("user.info.basic",)
    """Scopes asked for at sign-in; people may untick all but user.info.basic."""
    pkce: Pkce = "hex"
    """Form of the PKCE challenge: hex (TikTok's), base64url (RFC 7636) or off."""
    ownership_files: dict[str, str] = Field(default_factory=dict)
    """Files by which TikTok is shown whose the site is: name (or path) to content, served to everybody."""
    always_ask: bool = False
    """Always show TikTok's consent page, so that people can switch accounts."""
    webhook: WebhookSettings = WebhookSettings(enabled=False)
    """TikTok's webhooks; off unless given."""
    authorize_url: Endpoint = "https://www.tiktok.com/v2/auth/authorize/"
    """Authorization endpoint; another one for simulators."""
    token_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/token/"  # noqa: S105
    """Token endpoint."""
    revoke_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/revoke/"
    """Revocation endpoint."""
    user_info_url: Endpoint = "https://open.tiktokapis.com/v2/user/info/"
    """User info endpoint."""
    get_qrcode_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/get_qrcode/"
    """Endpoint that gives codes for phones to scan, for `qr_sign_in`."""
    check_qrcode_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/check_qrcode/"
    """Endpoint that says how far a person is with one."""

    @property
    def ownership_paths(self) -> dict[str, str]:
        """The same by path: a bare name is at the site's root."""
        return {f"/{name.lstrip('/')}": content for name, content in self.ownership_files.items()}

    @field_validator("ownership_files")
    @classmethod
    def _check_files(cls, files: dict[str, str]) -> dict[str, str]:
        for name, content in files.items():
            if not _OWNERSHIP_FILE.fullmatch(name):
                raise KeyFault((name,), "must be a name or a path that ends with .txt, like tiktokAbC123.txt")
            if not _OWNERSHIP_TEXT.fullmatch(content):
                raise KeyFault((name,), "has a content that is none: paste TikTok's line, or name it: ${file:PATH}")
        if len({name.lstrip("/") for name in files}) < len(files):
            raise ValueError("has the same file twice: once with a slash in front, once without")
        return files

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"has {quote(scope)}, which is no scope: one list item each, like user.info.basic")
        if "user.info.basic" not in scopes:
            raise ValueError("must have user.info.basic, without which nobody can be told apart")
        return tuple(dict.fromkeys(scopes))
