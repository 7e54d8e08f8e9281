"""`gateway recipe`: every file to copy has a name, is printed as it is, and replaces nothing."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from gateway.cli.recipe import RECIPES
from tests.commands import Told, invoke

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
SINGLE = [name for name, each in RECIPES.items() if len(each.files) == 1 and not each.files[0].endswith("/")]


def recipe(*words: str) -> Told:
    return invoke("recipe", *words, environ={})


def source(name: str) -> Path:
    return next(place / name for place in (CONFIG, ROOT) if (place / name).exists())


def test_each_is_listed_with_what_it_is_for() -> None:
    lines = recipe().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert all(len(line) < 100 for line in lines)


def test_every_file_to_copy_belongs_to_a_recipe() -> None:
    named = [CONFIG / file for each in RECIPES.values() for file in each.files]
    left = [
        str(path.relative_to(CONFIG))
        for path in CONFIG.rglob("*")
        if path.is_file() and not any(path == each or each in path.parents for each in named)
    ]
    assert left == []


@pytest.mark.parametrize("name", SINGLE)
def test_one_file_is_printed_as_it_is(name: str) -> None:
    done = recipe(name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == source(RECIPES[name].files[0]).read_text()


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_written_is_the_files(name: str, tmp_path: Path) -> None:
    done = recipe(name, "--output", str(tmp_path / "deep" / "er"))
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert written
    assert sorted(written) == sorted(path for path in (tmp_path / "deep" / "er").rglob("*") if path.is_file())
    for path in written:
        inner = path.relative_to(tmp_path / "deep" / "er")
        folders = [source(file) / inner for file in RECIPES[name].files if file.endswith("/")]
        files = [source(file) for file in RECIPES[name].files if Path(file).name == path.name]
        assert path.read_text() == (folders + files)[0].read_text()


def test_several_files_are_told_apart() -> None:
    done = recipe("haproxy")
    assert "==> haproxy.cfg <==" in done.stdout
    assert "==> gateway.lua <==" in done.stdout
    assert "--output" in done.stderr


def test_nothing_is_replaced_nor_written_by_half(tmp_path: Path) -> None:
    (tmp_path / "gateway.lua").write_text("mine")
    done = recipe("haproxy", "-o", str(tmp_path))
    assert done.returncode == 1
    assert "gateway.lua: there already; nothing was written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.lua"]
    assert (tmp_path / "gateway.lua").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = recipe("nginx", "-o", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_a_name_that_is_none_is_told_the_names() -> None:
    done = recipe("apache")
    assert done.returncode == 2
    assert "nginx" in done.stderr


def test_the_smallest_settings_are_those_of_the_documentation() -> None:
    lines = [line for line in recipe("minimal").stdout.splitlines() if not line.startswith("#")]
    assert "\n".join(lines) in (ROOT / "README.md").read_text()
    assert indent("\n".join(lines), "   ") in (ROOT / "docs" / "installing.md").read_text()
