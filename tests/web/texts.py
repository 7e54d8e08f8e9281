"""Every text that a page may show, in English, as translators get it.

`python -m tests.web.texts TAG` writes `gateway/web/answers/languages/TAG.po` anew: with what there is already, without
what is no longer shown, and with an empty line for what is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract_python

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
from gateway.web.answers.catalogue import Message, build_catalogue, extract_texts, write_catalogue
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


def find_messages() -> dict[Message, list[str]]:
    """Return every text, with where it is said."""
    found: dict[Message, list[str]] = {}
    for place, message in (*_from_templates(), *_from_code(), *_from_errors()):
        found.setdefault(message, []).append(place)
    return found


def _from_templates() -> Iterator[tuple[str, Message]]:
    for message, places in extract_texts(TEMPLATES).items():
        yield from ((place, message) for place in places)


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


if __name__ == "__main__":
    for each in sys.argv[1:]:
        file = LANGUAGES / f"{each}.po"
        known = [read_catalogue(each, file.read_bytes())] if file.exists() else []
        file.write_text(write_catalogue(build_catalogue(each, find_messages(), *known)))
