"""What the documentation shows is taken by the programs that it is for: settings, commands, Python, nginx.

Python is only read here; what a page shows of the middleware is run by its own tests.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import typer.main
from ruamel.yaml import YAML

from gateway.cli.main import app
from gateway.settings import Settings, load
from tests.docs.snippets import PAGES, ROOT, Snippet, find_snippets
from tests.programs import need

SMALLEST = """
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
redis: redis://127.0.0.1:6379/0
secret_keys: ["${GATEWAY_SECRET_KEY}"]
tiktok: {client_key: k, client_secret: s}
"""
ENVIRON = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s",
}


def read_yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def is_ours(snippet: Snippet) -> bool:
    """Whether a block of YAML is one of the gateway's settings; one with a single key of ours is meant to be."""
    document = read_yaml(snippet.text)
    return isinstance(document, dict) and bool(document.keys() & Settings.model_fields.keys())


SETTINGS = [snippet for snippet in find_snippets("yaml") if is_ours(snippet)]


@pytest.mark.parametrize("snippet", find_snippets("yaml", "json"), ids=str)
def test_yaml_is_yaml(snippet: Snippet) -> None:
    list(YAML(typ="safe", pure=True).load_all(snippet.text))


@pytest.mark.parametrize("snippet", SETTINGS, ids=str)
def test_the_gateway_takes_the_settings(snippet: Snippet, tmp_path: Path) -> None:
    """A part stands among the rest of the smallest file; the secrets and lists that it names are there."""
    shown = re.sub(r"\$\{file:((?:\$\{\w+\}|[^}$])+)\}", "of-a-file-some-secret-that-is-long-enough-1", snippet.text)
    (tmp_path / "staff.yaml").write_text("open_ids: [-000abc]\n")
    (tmp_path / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "icon.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for path in set(re.findall(r"/\S+\.(?:pem|key)\b", shown)):
        (tmp_path / Path(path).name).touch()
        shown = shown.replace(path, str(tmp_path / Path(path).name))
    document = read_yaml(SMALLEST) | read_yaml(shown)
    (tmp_path / "gateway.yaml").write_text(json.dumps(document))  # which is YAML as well
    load(tmp_path / "gateway.yaml", ENVIRON)


def test_there_are_settings_to_be_seen() -> None:
    assert {snippet.page for snippet in SETTINGS} >= {"README.md", "docs/installing.md", "docs/routes.md"}


def find_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield where, and the words, of each command of ours that a page shows, in a block or in its text."""
    for snippet in find_snippets("sh"):
        for line in re.split(r"\n|&&|\|", snippet.text.replace("\\\n", " ")):
            if found := re.match(r"\s*(?:\S*/)?gateway ([a-z].*)", re.sub(r"\s#.*", "", line)):
                yield str(snippet), shlex.split(found[1])
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for command in re.findall(r"`gateway ([a-z][^`]*)`", prose):
            if "|" not in command:
                yield str(page.relative_to(ROOT)), shlex.split(command)


def read_command(words: list[str]) -> str | None:
    """Return what is wrong with a command of ours, as its words and options go; values may be left out."""
    command: Any = typer.main.get_command(app)
    options = {"--help", "--version"}
    for word in words:
        if word in (">", "…"):
            break
        if word.startswith("-") and word != "--":
            options |= {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            if word.split("=")[0] not in options:
                return f"has no option {word}"
        elif commands := getattr(command, "commands", None):
            if word not in commands:
                return f"has no command {word}"
            command = commands[word]
        elif word == "--":
            break
    return None


@pytest.mark.parametrize(
    ("where", "words"), [*find_commands()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_commands_are_there(where: str, words: list[str]) -> None:
    assert read_command(words) is None


@pytest.mark.parametrize("words", [["nonsense"], ["check", "--nonsense"], ["keys", "old"]])
def test_a_command_that_is_not_there_is_seen(words: list[str]) -> None:
    assert read_command(words) is not None


@pytest.mark.parametrize("snippet", find_snippets("python"), ids=str)
def test_python_is_python_and_what_it_imports_of_ours_is_there(snippet: Snippet) -> None:
    tree = ast.parse(snippet.text)
    ours = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.ImportFrom) and (each.module or "").split(".")[0] == "gateway"
    ]
    exec(compile(ast.Module(body=[*ours], type_ignores=[]), str(snippet), "exec"), {})


@pytest.mark.parametrize("snippet", find_snippets("nginx"), ids=str)
def test_nginx_takes_its_blocks(snippet: Snippet, tmp_path: Path) -> None:
    program = need("nginx")
    text = snippet.text.replace("/etc/ssl/app", f"{tmp_path}/app")
    block = text if re.search(r"^(server|upstream) ", text, re.MULTILINE) else f"server {{ {text} }}"
    certificate = trustme.CA().issue_cert("app.example.com")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "app.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "app.key")
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {block} }}")
    command = [program, "-t", "-q", "-e", f"{tmp_path}/error.log", "-c", str(main), "-p", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
