"""From the section `brand` and the files it names to the pages, tried before anybody sees one.

The folder `brand.templates` may have templates of our names (and others that these use), `brand.css`, whose rules come
after ours, and catalogues of texts, `TAG.po`.
"""

from __future__ import annotations

from pathlib import Path

from gateway.settings import Problem, Settings, SettingsProblems, place
from gateway.settings.brand import BrandSettings, find_picture_kind
from gateway.web.answers.brand import Brand, Picture
from gateway.web.answers.catalogue import (
    build_catalogue,
    extract_texts,
    find_missing,
    find_misspelt,
    is_tag,
    read_texts,
    write_catalogue,
)
from gateway.web.answers.languages import read_catalogue, read_ours
from gateway.web.answers.pages import Pages
from gateway.web.answers.trial import find_faults


def open_pages(settings: Settings) -> Pages:
    """Return the pages. Raises `SettingsProblems` for a file that cannot be used; it names the file, and the line."""
    host = settings.public_url.partition("://")[2]
    try:
        brand = _read_brand(settings.brand)
        _refuse_misspelt(brand)
        pages = Pages(prefix=settings.prefix, site=host, brand=brand)
    except OSError as error:
        words = f"{error.filename} cannot be read: {error.strerror}"
        raise SettingsProblems([place(settings, "brand", words)]) from None
    except ValueError as error:
        raise SettingsProblems([place(settings, "brand", str(error))]) from None
    faults = tuple(find_faults(pages, brand.templates)) if brand.templates else ()
    if faults:
        raise SettingsProblems([Problem(each.where, "brand.templates", each.message) for each in faults])
    return pages.offering_qr() if settings.qr_sign_in else pages


def _refuse_misspelt(brand: Brand) -> None:
    faults = [
        fault for tag, text in brand.texts.items() for fault in find_misspelt(Path(brand.templates) / f"{tag}.po", text)
    ]
    if faults:
        raise SettingsProblems([Problem(each.where, "brand.templates", each.message) for each in faults])


def find_unfinished(settings: Settings) -> tuple[Problem, ...]:
    """Return what the operator's own texts lack, though they can be used."""
    texts = _read_brand(settings.brand).texts
    folder = Path(settings.brand.templates or "")
    faults = (fault for tag, text in texts.items() for fault in find_missing(folder / f"{tag}.po", tag, text))
    return tuple(Problem(each.where, "brand.templates", each.message) for each in faults)


def write_texts(tag: str, path: Path | None) -> str:
    """Return a catalogue of a language: of what the file says already, of what ours says, and with the rest empty.

    The texts of templates beside the file belong to it. Raises `ValueError`.
    """
    if not is_tag(tag):
        raise ValueError(f"{tag} is no language: write it like nl, or pt-BR")
    ours, texts = read_ours(), read_texts()
    known = [read_catalogue(tag, ours[tag])] if tag in ours else []
    if path is not None:
        texts |= extract_texts(path.parent)
        if path.exists():
            text = path.read_bytes()
            if fault := next(find_misspelt(path, text), None):  # what babel made of it would be written over it
                raise ValueError(f"{fault.where}: {fault.message}")
            known += [read_catalogue(tag, text)]
    return write_catalogue(build_catalogue(tag, texts, *known))


def _read_brand(settings: BrandSettings) -> Brand:
    folder = Path(settings.templates) if settings.templates is not None else None
    stylesheet = folder / "brand.css" if folder is not None else None
    return Brand(
        name=settings.name,
        logo=_read_picture(settings.logo),
        icon=_read_picture(settings.icon),
        accent=settings.accent or "",
        terms_url=settings.terms_url or "",
        privacy_url=settings.privacy_url or "",
        support_url=settings.support_url or "",
        footer=settings.footer,
        templates=str(folder) if folder is not None else "",
        stylesheet=stylesheet.read_bytes() if stylesheet is not None and stylesheet.is_file() else b"",
        languages=settings.languages,
        texts={each.stem: each.read_bytes() for each in sorted(folder.glob("*.po"))} if folder is not None else {},
    )


def _read_picture(path: str | None) -> Picture | None:
    if path is None:
        return None
    body = Path(path).read_bytes()
    kind = find_picture_kind(body)
    if kind is None:
        raise ValueError(f"{path} is no picture any more")
    return Picture(kind, body)
