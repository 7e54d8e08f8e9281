"""Every page of the documentation is found: from its index, and from the README or a page that the README leads to."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.snippets import ROOT

DOCS = ROOT / "docs"


def find_links(page: Path) -> set[Path]:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    return {(page.parent / link).resolve() for link in links if "://" not in link}


def test_the_index_has_every_page() -> None:
    pages = {page for page in DOCS.glob("*.md") if page.name != "index.md"}
    assert pages - find_links(DOCS / "index.md") == set()


def test_the_readme_leads_to_every_page() -> None:
    found, more = set[Path](), {ROOT / "README.md"}
    while more:
        page = more.pop()
        found.add(page)
        more |= {link for link in find_links(page) if link.suffix == ".md" and link.parent == DOCS} - found
    assert set(DOCS.glob("*.md")) - found - {DOCS / "index.md"} == set()
