"""Every text that a page may show, in English, as translators get it.

`python -m tests.web.texts TAG` writes `gateway/web/answers/languages/TAG.po` anew: with what there is already, without
what is no longer shown, and with an empty line for what is missing.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.pofile import write_po
from jinja2.ext import babel_extract

import gateway.web.answers
from gateway.core.scopes import FACTS_IN_WORDS, IN_WORDS
from gateway.errors import (
    GatewayError,
    NoSuchGrant,
    NoSuchSession,
    RecordsUnreadable,
    SettingsError,
    TooManyTokens,
    Unauthenticated,
    WebhookRefused,
)
from gateway.web.answers.languages import read_catalogue

ANSWERS = Path(gateway.web.answers.__file__).parent
TEMPLATES = ANSWERS / "templates"
LANGUAGES = ANSWERS / "languages"
FOR_PROGRAMS = (
    NoSuchGrant,
    NoSuchSession,
    RecordsUnreadable,
    SettingsError,
    TooManyTokens,
    Unauthenticated,
    WebhookRefused,
)
"""Errors of the program's start, the admin listener and the webhook, which no page is made of."""

_SAYS_NOTHING = re.compile(
    r'^"(?:Project-Id|Report-|POT-|PO-|Last-|Language-Team|Generated-|MIME-|Content-Tr).*\n', re.MULTILINE
)
"""Lines of a catalogue's head that would differ from day to day."""

Message = str | tuple[str, str]
"""A text, or one for one and one for many."""


def find_messages() -> dict[Message, list[str]]:
    """Return every text, with where it is said."""
    found: dict[Message, list[str]] = {}
    for place, message in (*_from_templates(), *_from_code(), *_from_errors()):
        found.setdefault(message, []).append(place)
    return found


def _from_templates() -> Iterator[tuple[str, Message]]:
    for path in sorted(TEMPLATES.glob("*.html")):
        with path.open("rb") as file:
            for _, _, message, _ in babel_extract(file, ["gettext", "ngettext"], [], {"trimmed": "true"}):
                forms = [message] if isinstance(message, str) else [form for form in message or () if form]
                yield f"templates/{path.name}", (forms[0], forms[1]) if len(forms) > 1 else str(forms[0])


def _from_code() -> Iterator[tuple[str, Message]]:
    for path in sorted(set(ANSWERS.glob("*.py")) - {ANSWERS / "samples.py"}):
        with path.open("rb") as file:
            for _, _, message, _ in extract_python(file, {"say": None}, [], {}):
                if message and isinstance(message, str):
                    yield path.name, message
    yield from (("scope", words) for words in IN_WORDS.values())
    yield from (("fact", words) for words in FACTS_IN_WORDS.values())


def _from_errors(root: type[GatewayError] = GatewayError) -> Iterator[tuple[str, Message]]:
    if not issubclass(root, FOR_PROGRAMS):
        yield root.code, root.title
        yield root.code, root.advice
    for child in root.__subclasses__():
        yield from _from_errors(child)


def renew(tag: str) -> Catalog:
    """Return the catalogue of a language, with what is known of it."""
    path = LANGUAGES / f"{tag}.po"
    before = read_catalogue(tag, path.read_bytes()) if path.exists() else Catalog()
    catalog = Catalog(
        locale=tag.replace("-", "_"),
        project="tiktok-gateway",
        header_comment="# What the gateway's pages say. Texts in %(…)s are filled in, and stay.",
        fuzzy=False,
    )
    for message, places in find_messages().items():
        known = before.get(message[0] if isinstance(message, tuple) else message)
        # str: a place without a line, which would change with every edit
        catalog.add(message, known.string if known is not None else None, auto_comments=sorted(set(places)))
    return catalog


if __name__ == "__main__":
    for each in sys.argv[1:]:
        renewed = renew(each)
        text = io.BytesIO()
        write_po(text, renewed, width=120)
        (LANGUAGES / f"{each}.po").write_text(_SAYS_NOTHING.sub("", text.getvalue().decode()))
