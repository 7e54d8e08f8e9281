"""The section `brand`: whose site the gateway's own pages say it is (branding, white label)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from gateway.settings.problem import quote
from gateway.settings.scalars import read_existing_file, read_existing_folder
from gateway.settings.section import OneOrMore, Section

LARGEST_PICTURE: Final = 256 * 1024
"""Most bytes of a logo or an icon, which every worker holds."""
_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_LINK: Final = re.compile(r"(?:https?://[A-Za-z0-9\[]|mailto:[^@\s]+@|/(?![/\\]))[\x21-\x7e]*")
_TAG: Final = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SVG: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg[^>\[]*>\s*)?<svg[\s>]", re.DOTALL
)
_MARKS: Final = (
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("jpeg", re.compile(rb"\xff\xd8\xff")),
    ("ico", re.compile(rb"\x00\x00\x01\x00")),
    ("webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("svg", _SVG),
)


def find_picture_kind(body: bytes) -> str | None:
    """Return what a picture is by its first bytes: png, jpeg, ico, webp or svg; None for anything else."""
    return next((kind for kind, mark in _MARKS if mark.match(body)), None)


def _read_colour(value: Any) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise ValueError('is no colour: write it like "#0a7d55"')
    return value.lower()


def _read_link(value: Any) -> str:
    if not isinstance(value, str) or not _LINK.fullmatch(value):
        raise ValueError("is no link: write it like https://example.com/terms, mailto:help@example.com or /terms")
    return value


Colour = Annotated[str, BeforeValidator(_read_colour), WithJsonSchema({"type": "string", "pattern": _COLOUR.pattern})]
PageLink = Annotated[str, BeforeValidator(_read_link), WithJsonSchema({"type": "string"})]
PictureFile = Annotated[str, BeforeValidator(read_existing_file), WithJsonSchema({"type": "string"})]
Folder = Annotated[str, BeforeValidator(read_existing_folder), WithJsonSchema({"type": "string"})]


class BrandSettings(Section):
    """Whose site the gateway's own pages say it is."""

    name: str = Field(default="", max_length=60)
    """What the site is called; default: the host of public_url."""
    logo: PictureFile | None = None
    """Picture above the pages: SVG, PNG, WebP or JPEG, up to 256 KiB."""
    icon: PictureFile | None = None
    """Icon of the browser's tab: SVG, PNG, WebP, JPEG or ICO, up to 256 KiB."""
    accent: Colour | None = None
    """Colour of the main button, like "#0a7d55"; made lighter or darker where it could not be seen."""
    terms_url: PageLink | None = None
    """Link to the terms: an address, or a path of this site."""
    privacy_url: PageLink | None = None
    """Link to what is said of privacy."""
    support_url: PageLink | None = None
    """Link for who needs help; may be mailto:."""
    footer: str = Field(default="", max_length=300)
    """A line below the pages."""
    templates: Folder | None = None
    """Folder with templates, a stylesheet and texts that stand in for the gateway's own."""
    languages: Annotated[tuple[str, ...], OneOrMore()] = ()
    """Languages that the pages speak, the one for everybody else first; empty for all there are, English first."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What a change of must be taken over: files, and the folder with all that is in it."""
        return tuple(Path(each) for each in (self.logo, self.icon, self.templates) if each is not None)

    @field_validator("accent", mode="before")
    @classmethod
    def _check_accent(cls, value: Any) -> Any:
        if value is None:
            raise ValueError('is empty: YAML takes # for the beginning of a comment, so write it like "#0a7d55"')
        return value

    @field_validator("name", "footer")
    @classmethod
    def _check_line(cls, text: str) -> str:
        if _CONTROLS.search(text):
            raise ValueError("must be one line, without control characters")
        return text.strip()

    @field_validator("logo", "icon")
    @classmethod
    def _check_picture(cls, path: str | None) -> str | None:
        if path is not None:
            _check_picture_file(path)
        return path

    @field_validator("languages")
    @classmethod
    def _check_languages(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            if not _TAG.fullmatch(tag):
                raise ValueError(f"has {quote(tag)}, which is no language: write it like de or pt-BR")
        return tuple(dict.fromkeys(tags))


def _check_picture_file(path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            body = file.read(LARGEST_PICTURE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {quote(path)}: {error.strerror}") from None
    if len(body) > LARGEST_PICTURE:
        raise ValueError(f"is larger than 256 KiB: {quote(path)}")
    if find_picture_kind(body) is None:
        raise ValueError(f"is no SVG, PNG, WebP, JPEG or ICO: {quote(path)}")
