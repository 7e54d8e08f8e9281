"""The files that go with the settings: example, schema, README. They say what the program does, or a test fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from ruamel.yaml import YAML

from gateway.settings import Settings, json_schema, load
from tests.examples import read_with_examples

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "gateway.example.yaml"
SCHEMA = ROOT / "config" / "gateway.schema.json"
ENVIRON = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s",
}


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from keys(part)


def test_the_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == json_schema()


def test_the_example_loads_and_has_every_key() -> None:
    settings = load(EXAMPLE, ENVIRON)
    assert settings.public_url == "https://app.example.com"
    text = EXAMPLE.read_text()
    missing = [key for key in set(keys(Settings)) if not re.search(rf"\b{key}:", text)]
    assert missing == []


def test_the_example_shows_the_defaults() -> None:
    example = load(EXAMPLE, ENVIRON)
    plain = load(
        None,
        {
            "GATEWAY__PUBLIC_URL": "https://app.example.com",
            "GATEWAY__UPSTREAM": "http://127.0.0.1:3000",
            "GATEWAY__REDIS": "redis://127.0.0.1:6379/0",
            "GATEWAY__SECRET_KEYS": json.dumps([ENVIRON["GATEWAY_SECRET_KEY"]]),
            "GATEWAY__TIKTOK__CLIENT_KEY": "k",
            "GATEWAY__TIKTOK__CLIENT_SECRET": "s",
        },
    )
    different = {name for name in Settings.model_fields if getattr(example, name) != getattr(plain, name)}
    assert different == set()


def test_the_examples_in_it_load(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(read_with_examples())
    settings = load(path, ENVIRON)
    assert len(settings.routes) == 10
    assert set(settings.upstreams) == {"backoffice"}


def documents() -> Iterator[Any]:
    yield YAML(typ="safe", pure=True).load(EXAMPLE.read_text())
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    blocks += re.findall(r"   ```yaml\n(.*?)   ```", (ROOT / "README.md").read_text(), re.DOTALL)
    whole = [block for block in blocks if "public_url" in block]
    assert whole
    for block in whole:
        yield YAML(typ="safe", pure=True).load(block)


def test_the_schema_takes_the_example_and_the_readmes_file() -> None:
    import jsonschema  # which takes a second, in each process that would collect tests

    jsonschema.Draft202012Validator.check_schema(json_schema())
    for document in documents():
        jsonschema.validate(document, json_schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_what_the_program_refuses() -> None:
    import jsonschema

    document = YAML(typ="safe", pure=True).load(EXAMPLE.read_text())
    document["nonsense"] = 1
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(document)


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)[:2]
    assert commands[0].endswith("gateway demo")
    assert "pytest" in commands[1]
