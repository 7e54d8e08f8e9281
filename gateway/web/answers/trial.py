"""An operator's templates and texts, tried before anybody sees them: every page is filled in every language."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import msgspec
from jinja2 import BaseLoader, Environment, TemplateError, TemplateSyntaxError, meta

from gateway.web.answers.pages import Pages
from gateway.web.answers.samples import SAMPLES


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, and where: `file:line`, or a file."""

    where: str
    message: str


def find_faults(pages: Pages, folder: str) -> Iterator[Fault]:
    """Yield what is wrong with the templates and texts in a folder, with which `pages` were made."""
    broken = list(_compile(pages.environment, Path(folder)))
    yield from broken or dict.fromkeys(_fill(pages.strict(), Path(folder)))


def _compile(environment: Environment, folder: Path) -> Iterator[Fault]:
    named: set[str] = set()
    own: dict[str, Path] = {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("**/*.html"))}
    for path in own.values():
        try:
            source = path.read_text()
            named.update(each for each in meta.find_referenced_templates(environment.parse(source)) if each)
            environment.compile(source)
        except TemplateSyntaxError as error:
            yield Fault(f"{path}:{error.lineno}", error.message or "is no template")
        except UnicodeDecodeError:
            yield Fault(str(path), "is not in UTF-8")
    ours = _list_ours(environment.loader)
    for name, path in own.items():
        if name not in ours and name not in named:
            yield Fault(
                str(path), f"no page is called so, and no template uses it; there are {', '.join(sorted(ours))}"
            )


def _list_ours(loader: BaseLoader | None) -> set[str]:
    """Return the names of our own templates, which an operator's may extend as `gateway/NAME`."""
    names = loader.list_templates() if loader is not None else []
    return {name.removeprefix("gateway/") for name in names if name.startswith("gateway/")}


def _fill(pages: Pages, folder: Path) -> Iterator[Fault]:
    for tag in pages.languages:
        for show in SAMPLES.values():
            try:
                show(pages.in_language(tag))
            except Exception as error:  # noqa: BLE001 -- a template may raise anything
                yield _describe(error, folder, tag)


def _describe(error: Exception, folder: Path, tag: str) -> Fault:
    """Return where it was raised, the innermost place in the folder; else it is a text of that language."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(str(folder))]
    message = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
    if frames:
        return Fault(f"{frames[-1].filename}:{frames[-1].lineno}", message)
    return Fault(str(folder / f"{tag}.po"), f"a text cannot be filled in: {message}")
