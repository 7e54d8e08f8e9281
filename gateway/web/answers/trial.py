"""An operator's templates and texts, tried before anybody sees them: every page is filled in every language."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jinja2 import BaseLoader, Environment, TemplateError, TemplateSyntaxError, meta, nodes

from gateway.web.answers.catalogue import Fault, find_wrong
from gateway.web.answers.pages import Pages
from gateway.web.answers.samples import SAMPLES

_DEEPEST: Final = 10
"""Most templates that extend each other."""


def find_faults(pages: Pages, folder: str) -> Iterator[Fault]:
    """Yield what is wrong with the templates and texts in a folder, with which `pages` were made."""
    broken = [*_compile(pages.environment, Path(folder)), *_read(Path(folder))]
    yield from broken or dict.fromkeys(_fill(pages.strict(), Path(folder)))


def _compile(environment: Environment, folder: Path) -> Iterator[Fault]:
    named: set[str] = set()
    own: dict[str, Path] = {path.relative_to(folder).as_posix(): path for path in sorted(folder.glob("**/*.html"))}
    for path in own.values():
        try:
            source = path.read_text()
            named.update(each for each in meta.find_referenced_templates(environment.parse(source)) if each)
            environment.compile(source)
            yield from _find_stray_blocks(environment, path, source)
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


def _read(folder: Path) -> Iterator[Fault]:
    for path in sorted(folder.glob("*.po")):
        yield from find_wrong(path, path.stem, path.read_bytes())


def _find_stray_blocks(environment: Environment, path: Path, source: str) -> Iterator[Fault]:
    """Yield the blocks of a template that extends another, and which fill nothing there: they are never shown."""
    tree = environment.parse(source)
    known = _list_blocks_above(environment, tree)
    if known is None:
        return
    for block in tree.body:
        if isinstance(block, nodes.Block) and block.name not in known:
            near = difflib.get_close_matches(block.name, known, n=1)
            meant = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(known))}"
            yield Fault(f"{path}:{block.lineno}", f"block `{block.name}` is in nothing that this extends: {meant}")


def _list_blocks_above(environment: Environment, tree: nodes.Template) -> set[str] | None:
    """Return the blocks of all that a template extends; None where it extends nothing, or what is not told."""
    found: set[str] = set()
    for _ in range(_DEEPEST):
        parent = tree.find(nodes.Extends)
        if parent is None:
            return found or None
        if not isinstance(parent.template, nodes.Const) or environment.loader is None:
            return None
        try:
            source, _, _ = environment.loader.get_source(environment, str(parent.template.value))
            tree = environment.parse(source)
        except TemplateError:
            return None  # which the trial tells
        found.update(block.name for block in tree.find_all(nodes.Block))
    return None


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
