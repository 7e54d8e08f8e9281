"""Every page once, filled with made-up values: an operator's templates are tried with them before anybody sees one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from gateway.core.kept_post import FormField, KeptPost
from gateway.core.user_agent import UserAgent
from gateway.web.answers.answer import Rendered
from gateway.web.answers.languages import Texts
from gateway.web.answers.pages import MOST_SHOWN, Pages
from gateway.web.answers.views import AccountView, Device, ErrorView, Link, PersonName

ADA: Final = PersonName("Ada Plain", "ada.plain")
PICTURED: Final = PersonName("李小星 🦊", None, "https://p16.tiktokcdn.example/avatar.jpeg")
_BEGAN: Final = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
_SEEN: Final = datetime(2026, 11, 28, 7, 30, tzinfo=UTC)
_START: Final = "/oauth2/start?rd=/"
_DEVICES: Final = (
    Device("0123456789abcdef0123", UserAgent("Chrome", "Windows"), _BEGAN, _SEEN, current=True, bound=True),
    Device("123456789abcdef01234", UserAgent("Safari", "iPhone"), _BEGAN, _BEGAN, current=False),
    Device("23456789abcdef012345", UserAgent("", "Linux"), _BEGAN, _BEGAN, current=False),
    Device("3456789abcdef0123456", UserAgent(), _BEGAN, _BEGAN, current=False),
)
_FORM: Final = (FormField("name", "Ada"), FormField("note", ""), FormField("password", "x"), FormField("file", None))
_DRAWING: Final = Markup(
    '<svg viewBox="0 0 29 29" class="qr"><path fill="#fff" d="M0 0h29v29h-29z"/>'
    '<path stroke="#000" d="M4 4.5h7m7 0h7m-21 6h7m7 0h7m-21 14h7"/></svg>'
)
"""In place of a code, which takes a library that not everybody has."""

Show = Callable[[Pages], Rendered]

SAMPLES: Final[Mapping[str, Show]] = {
    "sign_in": lambda pages: pages.sign_in(_START, None),
    "session_ended": lambda pages: pages.sign_in(_START, "session_ended"),
    "kept": lambda pages: pages.sign_in(_START, "kept"),
    "not_kept": lambda pages: pages.sign_in(_START, "not_kept"),
    "framed": lambda pages: pages.sign_in(_START, "frame"),
    "signed_in": lambda pages: pages.sign_in(_START, None, ADA),
    "signed_in_pictured": lambda pages: pages.sign_in(_START, None, PICTURED),
    "qr_offered": lambda pages: pages.offering_qr().sign_in(_START, None),
    "qr": lambda pages: _show_qr(pages, "new", _DRAWING),
    "qr_scanned": lambda pages: _show_qr(pages, "scanned"),
    "qr_expired": lambda pages: _show_qr(pages, "expired"),
    "consent": lambda pages: pages.consent(_START, ("video.list", "research.data"), "We show your videos here."),
    "consent_framed": lambda pages: pages.consent(_START, ("video.list",), "", framed=True),
    "account": lambda pages: pages.account(_view(ADA, "user.info.basic", "video.list", "research.data")),
    "account_bare": lambda pages: pages.account(_view(PICTURED)),
    "sign_out": lambda pages: pages.sign_out_question(),
    "signed_out": lambda pages: pages.signed_out("/oauth2/sign_in"),
    "signed_out_open": lambda pages: pages.leading_home().signed_out("/oauth2/sign_in"),
    "disconnect": lambda pages: pages.disconnect_question(ADA),
    "disconnected": lambda pages: pages.disconnected("/oauth2/sign_in"),
    "disconnected_open": lambda pages: pages.leading_home().disconnected("/oauth2/sign_in"),
    "kept_post": lambda pages: pages.kept_post("/x", _post(*_FORM), ADA),
    "kept_post_long": lambda pages: pages.kept_post("/x", _post(*_FORM * (MOST_SHOWN // 2)), PICTURED),
    "error": lambda pages: pages.error(_plain(pages.texts)),
    "error_full": lambda pages: pages.error(_full(pages.texts)),
    "error_framed": lambda pages: pages.error(_full(pages.texts), framed=True),
}
"""By a name; of a page that shows one thing or another, each."""


def _show_qr(pages: Pages, status: str, drawing: Markup | None = None) -> Rendered:
    prefix = pages.prefix
    return pages.qr(
        status,
        drawing=drawing or Markup(),
        ask_url=f"{prefix}/qr/status?id=x",
        again_url=f"{prefix}/qr?rd=/",
        sign_in_url=f"{prefix}/sign_in?rd=/",
    )


def _view(person: PersonName, *scopes: str) -> AccountView:
    return AccountView(person, "-000Vt8LQSgH4Fc3XQrQuyHFoBMqMMGfZsZ0", scopes, _SEEN, _DEVICES)


def _post(*fields: FormField) -> KeptPost:
    return KeptPost(binding=b"", target="/x", encoding="multipart/form-data", fields=fields)


def _plain(texts: Texts) -> ErrorView:
    return ErrorView(
        "internal_error",
        texts.say("Something went wrong"),
        texts.say("Please try again in a moment."),
        "01JDQ4Y0Z4J6",
        links=(Link("/", texts.say("Back to the start page")),),
    )


def _full(texts: Texts) -> ErrorView:
    """Return an error with all that one may have, which none has at once."""
    return ErrorView(
        code="forbidden",
        title=texts.say("You may not go there"),
        advice=texts.say("If you think you should, ask the people who run this site."),
        request_id="01JDQ4Y0Z4J6",
        log_id="20261128",
        links=(
            Link("/", texts.say("Back to the start page")),
            Link("/oauth2/start?switch=1", texts.say("Use another account")),
        ),
        refused=(texts.say("Your public videos"),),
        person=ADA,
        words="For members only.",
        fact=texts.say("It depends on how many followers the account has."),
        within="TikTok",
        still=True,
        reloads=True,
    )
