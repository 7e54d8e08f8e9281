"""The languages of the pages (internationalisation, i18n): texts by their English words, plural forms, moments.

A language is one file, `languages/TAG.po`, as gettext's tools and translators know it; it is read as it is, so there is
nothing to compile. What a file lacks is said in English.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Final

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

ENGLISH: Final = "en"
MOST_KEPT: Final = 32
"""Most languages kept once read: the next gateway of the process, after a change of the settings, has the same."""


class Texts:
    """One language; `tag` is as in `lang` and `Content-Language` (RFC 5646), e.g. "pt-BR"."""

    def __init__(self, tag: str, translations: NullTranslations) -> None:
        self.tag = tag
        self._translations = translations
        self._locale = Locale.parse(tag, sep="-")

    @property
    def direction(self) -> str:
        """Which way it is written: "ltr" or "rtl"."""
        return self._locale.text_direction

    def say(self, english: str) -> str:
        """Return a text in this language."""
        return self._translations.gettext(english)

    def count(self, one: str, many: str, number: int) -> str:
        """Return the form of a text that goes with a number; `one` and `many` are English."""
        return self._translations.ngettext(one, many, number)

    def moment(self, moment: datetime) -> str:
        """Write a moment to the minute, as is usual; in UTC, since nobody says where the reader is."""
        utc = moment.astimezone(UTC)
        day, time = format_date(utc, "long", self._locale), format_time(utc, "short", locale=self._locale)
        both = str(get_datetime_format("medium", locale=self._locale))  # "{1}, {0}", or as the language has it
        return f"{both.replace('{1}', day).replace('{0}', time)} UTC"


def read_languages(own: Mapping[str, bytes]) -> dict[str, Texts]:
    """Return every language by its tag: ours, with what `own` catalogues (.po) add or say otherwise.

    Raises `ValueError` for a catalogue that is none, or whose language nobody knows.
    """
    catalogues: dict[str, tuple[bytes, ...]] = {ENGLISH: ()}
    catalogues |= {tag: (text,) for tag, text in read_ours().items()}
    for tag, text in own.items():
        catalogues[tag] = (*catalogues.get(tag, ()), text)
    return {tag: _read(tag, texts) for tag, texts in catalogues.items()}


def read_catalogue(tag: str, text: bytes) -> Catalog:
    """Return what a file of texts says; one that is doubtful (fuzzy) is not said. Raises `ValueError`."""
    try:
        Locale.parse(tag, sep="-")
        return read_po(io.BytesIO(text), locale=tag.replace("-", "_"), abort_invalid=True)
    except Exception as error:  # noqa: BLE001 -- babel raises of many kinds, and all mean the file
        why = str(error)
        if isinstance(error, PoFileError):
            why = f"{why.rpartition(' on ')[0]}, in line {error.lineno + 1}"
        raise ValueError(f"{tag}.po is no catalogue of texts of a language: {why}") from None


def read_ours() -> dict[str, bytes]:
    """Return our catalogues by their tags."""
    folder = files("gateway.web.answers") / "languages"
    return {item.name.removesuffix(".po"): item.read_bytes() for item in folder.iterdir() if item.name.endswith(".po")}


@lru_cache(maxsize=MOST_KEPT)
def _read(tag: str, texts: tuple[bytes, ...]) -> Texts:
    translations: NullTranslations = NullTranslations()
    for text in texts:
        compiled = io.BytesIO()
        write_mo(compiled, read_catalogue(tag, text))
        compiled.seek(0)
        later = GNUTranslations(compiled)
        later.add_fallback(translations)
        translations = later
    return Texts(tag, translations)
