"""The pages that people see: templates, filled with plain values. No inline script or style, no foreign asset.

Three small scripts, which every page works without: `carry.js` carries the fragment of an address through a sign-in,
`times.js` writes moments as the reader's clock has them, and `qr.js` asks how far a phone is with a code. The one thing
from elsewhere is a person's own picture, which their browser fetches from TikTok; the page's policy names that origin
and no other.

An operator's templates stand in for ours, and may extend them as `gateway/NAME`. They see nothing but what a page shows
(sandbox), and one that fails gives way to ours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Final

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
)
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from gateway.core.kept_post import KeptPost
from gateway.core.language import choose_language, read_preferences
from gateway.core.scopes import IN_WORDS
from gateway.telemetry.logs import log
from gateway.web.answers.answer import Rendered
from gateway.web.answers.brand import PLAIN, Brand
from gateway.web.answers.colour import build_accent
from gateway.web.answers.languages import ENGLISH, Texts, read_languages
from gateway.web.answers.static_files import StaticFiles
from gateway.web.answers.views import AccountView, ErrorView, PersonName, origin_of, show_field

MOST_SHOWN: Final = 30
"""Most fields of a form shown."""


class Pages:
    """Renders pages; compiled once. `site` is the host people see, `prefix` where the pages live.

    Raises `ValueError` for a language of the brand that there is not.
    """

    def __init__(self, *, prefix: str, site: str, brand: Brand = PLAIN) -> None:
        self.static = StaticFiles(prefix)
        self.prefix = prefix
        self._host = site
        self._brand = brand
        self._offers_qr = False
        self._open_home = ""
        self._languages = _choose_languages(brand)
        self.texts = next(iter(self._languages.values()))
        self._add_files(brand)
        ours = PackageLoader("gateway.web.answers")
        self._ours = self.environment = self._open(ours, prefix)
        self._strict = False
        if brand.templates:
            own = FileSystemLoader(brand.templates)
            self.environment = self._open(ChoiceLoader([own, ours, PrefixLoader({"gateway": ours})]), prefix)

    def for_reader(self, headers: Iterable[tuple[bytes, bytes]]) -> Pages:
        """Return the same pages in the language that the reader's browser asks for."""
        return self.in_language(choose_language(read_preferences(headers), tuple(self._languages)))

    def in_language(self, tag: str) -> Pages:
        """Return the same pages in one of `languages`."""
        pages = copy.copy(self)
        pages.texts = self._languages[tag]
        return pages

    def strict(self) -> Pages:
        """Return the same pages, but a template that fails does not give way: it raises."""
        pages = copy.copy(self)
        pages._strict = True
        return pages

    def offering_qr(self) -> Pages:
        """Return the same pages, where the button has the way to a code to scan beside it."""
        pages = copy.copy(self)
        pages._offers_qr = True
        return pages

    def leading_home(self) -> Pages:
        """Return the same pages, where whoever has signed out may go to the app's start page: it is open to them."""
        pages = copy.copy(self)
        pages._open_home = "/"
        return pages

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages there are, the default first."""
        return tuple(self._languages)

    def sign_in(
        self, start_url: str, reason: str | None, person: PersonName | None = None, return_to: str = "/"
    ) -> Rendered:
        """The button; `reason` says why it is shown instead of what was asked for.

        It is "session_ended" for what was sent without a session, "kept" where that was kept, "not_kept" where it
        could not be, "frame" within a frame. A `person`, who is signed in, may go on to `return_to`.
        """
        return self._render(
            "sign_in.html",
            scripts=("carry.js",),
            framed=reason == "frame",
            start_url=start_url,
            reason=reason,
            person=person,
            return_to=return_to,
            offers_qr=self._offers_qr,
        )

    def qr(self, status: str, *, drawing: Markup, ask_url: str, again_url: str, sign_in_url: str) -> Rendered:
        """A code to scan (`status` "new"), or what has become of it: "scanned" or "expired"."""
        waits = status != "expired"
        return self._render(
            "qr.html",
            scripts=("qr.js",) if waits else (),
            asks=(f"{self._host}{self.prefix}/qr/status",) if waits else (),
            status=status,
            drawing=drawing,
            ask_url=ask_url,
            again_url=again_url,
            sign_in_url=sign_in_url,
        )

    def consent(self, start_url: str, missing: Sequence[str], reason: str, *, framed: bool = False) -> Rendered:
        """Say which scopes are missing, and why they are asked for."""
        asked = self.describe_scopes(missing)
        return self._render("consent.html", framed=framed, start_url=start_url, asked=asked, reason=reason)

    def error(self, view: ErrorView, *, framed: bool = False) -> Rendered:
        """Something went wrong."""
        return self._render("error.html", framed=framed, view=view, person=view.person)

    def kept_post(self, action: str, post: KeptPost, person: PersonName) -> Rendered:
        """Offer to send a form again, to `action`, and show what would be sent, and as whom."""
        shown = [show_field(field) for field in post.fields[:MOST_SHOWN]]
        more = len(post.fields) - len(shown)
        return self._render("kept_post.html", action=action, post=post, person=person, shown=shown, more=more)

    def sign_out_question(self) -> Rendered:
        """Ask before signing out."""
        return self._render("sign_out.html")

    def signed_out(self, sign_in_url: str) -> Rendered:
        """Nobody is signed in here."""
        return self._render("signed_out.html", sign_in_url=sign_in_url, home=self._open_home)

    def disconnect_question(self, person: PersonName) -> Rendered:
        """Ask before the grant at TikTok is revoked."""
        return self._render("disconnect.html", person=person)

    def disconnected(self, sign_in_url: str) -> Rendered:
        """The grant at TikTok is revoked."""
        return self._render("disconnected.html", sign_in_url=sign_in_url, home=self._open_home)

    def account(self, view: AccountView) -> Rendered:
        """Who am I, what did I grant, where am I signed in."""
        scopes = list(zip(self.describe_scopes(view.scopes), view.scopes, strict=True))
        return self._render("account.html", scripts=("times.js",), view=view, person=view.person, scopes=scopes)

    def describe_scopes(self, scopes: Iterable[str]) -> tuple[str, ...]:
        """Return what scopes allow, in the reader's words; one that has none stands for itself."""
        return tuple(self.texts.say(IN_WORDS[scope]) if scope in IN_WORDS else scope for scope in scopes)

    def _add_files(self, brand: Brand) -> None:
        if brand.accent or brand.stylesheet:
            accent = build_accent(brand.accent).encode() if brand.accent else b""
            self.static.add("gateway.css", b"\n".join([self.static.read("gateway.css"), accent, brand.stylesheet]))
        for name, picture in (("logo", brand.logo), ("own_icon", brand.icon)):
            if picture is not None:
                self.static.add(f"{name}.{picture.ending}", picture.body)

    def _open(self, loader: BaseLoader, prefix: str) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_callables(_say, _count, newstyle=True)  # type: ignore[attr-defined]
        brand, static = self._brand, self.static
        name = brand.name or self._host
        environment.globals.update(
            prefix=prefix,
            brand=brand,
            site=Markup("<bdi>{}</bdi>").format(name),
            site_name=name,
            stylesheet=static.address("gateway.css"),
            logo=static.address(f"logo.{brand.logo.ending}") if brand.logo else "",
            icon=static.address(f"own_icon.{brand.icon.ending}" if brand.icon else "icon.svg"),
        )
        return environment

    def _render(
        self,
        template: str,
        *,
        scripts: tuple[str, ...] = (),
        asks: tuple[str, ...] = (),
        framed: bool = False,
        **values: Any,
    ) -> Rendered:
        addresses = tuple(map(self.static.address, scripts))
        person: PersonName | None = values.setdefault("person", None)
        values |= {"texts": self.texts, "scripts": addresses, "out": Markup(' target="_top"') if framed else Markup()}
        picture = origin_of(person.picture) if person is not None else ""
        return Rendered(
            self._fill(template, values).encode("utf-8", "replace"),
            self.texts.tag,
            tuple(self._host + address for address in addresses),
            (picture,) if picture else (),
            asks,
        )

    def _fill(self, template: str, values: dict[str, Any]) -> str:
        try:
            return self.environment.get_template(template).render(**values)
        except Exception as error:  # an operator's template may raise anything, and a page must be shown
            if self._strict or self.environment is self._ours:
                raise
            log.error("template_failed", template=template, reason=str(error), advice="see `gateway check`")
        return self._ours.get_template(template).render(**values)


@pass_context
def _say(context: Context, english: str) -> str:
    texts: Texts = context["texts"]
    return texts.say(english)


@pass_context
def _count(context: Context, one: str, many: str, number: int) -> str:
    texts: Texts = context["texts"]
    return texts.count(one, many, number)


def _choose_languages(brand: Brand) -> dict[str, Texts]:
    known = read_languages(brand.texts)
    wanted = brand.languages or (ENGLISH, *sorted(set(known) - {ENGLISH}))
    for tag in wanted:
        if tag not in known:
            raise ValueError(f"there is no language {tag}; there are {', '.join(sorted(known))}")
    return {tag: known[tag] for tag in wanted}
