"""A language's file of texts (gettext catalogue, `TAG.po`): one to fill in, and what an operator's own lacks.

Which texts there are is read from one of our own catalogues, which all have every text, and from the `{% trans %}` of
an operator's templates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.pofile import write_po
from jinja2 import TemplateError
from jinja2.ext import babel_extract

from gateway.web.answers.languages import read_catalogue, read_ours

Message = str | tuple[str, str]
"""A text, or one for one and one for many."""
Places = Mapping[Message, Iterable[str]]
"""Texts, with where each is said."""

_WHOLE: Final = "de"
"""One of ours: which does not matter."""
_IN_TEMPLATE: Final = "templates/"
"""How the place begins of a text that is in a template: such a text is filled in, whatever is in it."""
_NAMED: Final = re.compile(r"%\((\w+)\)s")
_SAYS_NOTHING: Final = re.compile(
    r'^"(?:Project-Id|Report-|POT-|PO-|Last-|Language-Team|Generated-|MIME-|Content-Tr).*\n', re.MULTILINE
)
"""Lines of a catalogue's head that would differ from day to day."""
_KEYWORD: Final = re.compile(r"msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, and where: `file:line`, or a file."""

    where: str
    message: str


def is_tag(tag: str) -> bool:
    """Whether there is such a language (RFC 5646)."""
    try:
        Locale.parse(tag, sep="-")
    except Exception:  # noqa: BLE001 -- babel raises of many kinds
        return False
    return True


def read_texts() -> dict[Message, list[str]]:
    """Return every text of our pages, with where it is said."""
    return {_key(each): list(each.auto_comments) for each in read_catalogue(_WHOLE, read_ours()[_WHOLE]) if each.id}


def extract_texts(folder: Path) -> dict[Message, list[str]]:
    """Return every text of the templates in a folder, with where it is said; templates that are none have no text."""
    found: dict[Message, list[str]] = {}
    for path in sorted(folder.glob("**/*.html")):
        try:
            with path.open("rb") as file:
                said = list(babel_extract(file, ["gettext", "ngettext"], [], {"trimmed": "true"}))
        except (TemplateError, OSError, UnicodeDecodeError):
            continue
        for _, _, message, _ in said:
            forms = [message] if isinstance(message, str) else [form for form in message or () if form]
            key = (forms[0], forms[1]) if len(forms) > 1 else forms[0]
            found.setdefault(key, []).append(f"{_IN_TEMPLATE}{path.relative_to(folder).as_posix()}")
    return found


def build_catalogue(tag: str, texts: Places, *known: Catalog) -> Catalog:
    """Return the catalogue of a language, with what is known of it; the last that knows a text has the word."""
    catalogue = Catalog(
        locale=tag.replace("-", "_"),
        project="tiktok-gateway",
        header_comment="# What the gateway's pages say. Texts in %(…)s are filled in, and stay.",
        fuzzy=False,
    )
    for message, places in texts.items():
        said = [each.get(message if isinstance(message, str) else message[0]) for each in known]
        forms = [each.string for each in said if each is not None and any(_forms(each))]
        # str: a place without a line, which would change with every edit
        catalogue.add(message, forms[-1] if forms else None, auto_comments=sorted(set(places)))
    return catalogue


def write_catalogue(catalogue: Catalog) -> str:
    """Return the file's text."""
    text = io.BytesIO()
    write_po(text, catalogue, width=120)
    return _SAYS_NOTHING.sub("", text.getvalue().decode())


def find_misspelt(path: Path, text: bytes) -> Iterator[Fault]:
    """Yield the lines that are not written as gettext has them; babel takes some of these, and says something else."""
    for number, line in enumerate(map(str.strip, text.decode("utf-8", "replace").split("\n")), 1):
        keyword, said = line[: (end := re.match(r'[^\s"]*', line).end())], line[end:].strip()  # type: ignore[union-attr]
        if not line or line.startswith("#"):
            continue
        if keyword and not _KEYWORD.fullmatch(keyword):
            yield Fault(f"{path}:{number}", f"{keyword[:40]} is no keyword: begin with msgid, msgstr, # or a quote")
        elif not _QUOTED.fullmatch(said):
            yield Fault(f"{path}:{number}", 'the text must stand in one pair of quotes; a quote within it is \\"')


def find_wrong(path: Path, tag: str, text: bytes) -> Iterator[Fault]:
    """Yield the texts of an operator's catalogue that cannot be filled in. Raises `ValueError` for no catalogue."""
    texts = read_texts() | extract_texts(path.parent)
    for each in read_catalogue(tag, text):
        places = texts.get(_key(each), ()) if each.id and not each.fuzzy else ()
        if any(place.startswith(_IN_TEMPLATE) for place in places):
            yield from (Fault(f"{path}:{each.lineno}", f"{_shown(each)}: {why}") for why in dict.fromkeys(_try(each)))


def find_missing(path: Path, tag: str, text: bytes) -> Iterator[Fault]:
    """Yield what a catalogue has not: how many texts are said in English, and texts that no page has."""
    ours, own = read_texts(), extract_texts(path.parent)
    wanted = own if tag in read_ours() else ours | own
    catalogue = read_catalogue(tag, text)
    said = {_key(each) for each in catalogue if each.id and not each.fuzzy and all(_forms(each))}
    doubtful = sum(1 for each in catalogue if each.id and each.fuzzy)
    missing = len(wanted.keys() - said)
    if missing:
        fuzzy = f" ({doubtful} are marked fuzzy, and not said)" if doubtful else ""
        lacking = len(wanted.keys() - {_key(each) for each in catalogue if each.id})
        adding = f"; `gateway texts {tag} --output {path}` adds the {lacking} that are not in it" if lacking else ""
        advice = f"fill in their msgstr{adding}"
        yield Fault(str(path), f"{missing} of {len(wanted)} texts are said in English still{fuzzy}; {advice}")
    for each in catalogue:
        if each.id and _key(each) not in ours and _key(each) not in own:
            yield Fault(f"{path}:{each.lineno}", f"{_shown(each)}: no page says that")


def _key(entry: Entry) -> Message:
    return (entry.id[0], entry.id[1]) if isinstance(entry.id, (list, tuple)) else entry.id


def _forms(entry: Entry) -> tuple[str, ...]:
    forms = entry.string if isinstance(entry.string, (list, tuple)) else (entry.string,)
    return tuple(form or "" for form in forms)


def _try(entry: Entry) -> Iterator[str]:
    """Yield why a text cannot be filled in with what the page gives it."""
    key = _key(entry)
    names = sorted({name for form in ((key,) if isinstance(key, str) else key) for name in _NAMED.findall(form)})
    given = ", ".join(f"%({name})s" for name in names) or "nothing"
    for form in _forms(entry):
        try:
            form % dict.fromkeys(names, "")
        except KeyError as error:
            yield f"has %({error.args[0]})s, which the page does not fill in here; it has {given}"
        except (ValueError, TypeError):
            yield f"has a % that is no %(…)s: write %% for the sign itself; the page fills in {given}"


def _shown(entry: Entry) -> str:
    key = _key(entry)
    text = key if isinstance(key, str) else key[0]
    return f'msgid "{text[:60]}{"…" * (len(text) > 60)}"'
