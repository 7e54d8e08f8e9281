"""The JSON Schema of the settings file, for editors; made from the model."""

from __future__ import annotations

import ast
import inspect
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

from pydantic import BaseModel

from gateway.settings.listening import ListenerSettings
from gateway.settings.model import Settings
from gateway.settings.scalars import write_duration
from gateway.settings.section import Section


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    schema = Settings.model_json_schema()
    _describe(schema, Settings)
    sections = {section.__name__: section for section in Section.__subclasses__()}
    for name, part in schema["$defs"].items():
        _describe(part, sections[name])
    properties = schema["properties"]
    properties["redis"] = _with_short_form(properties["redis"], "RedisSettings")
    properties["upstream"] = _with_short_form(properties["upstream"], "UpstreamSettings")
    named = properties["upstreams"]
    named["additionalProperties"] = {"anyOf": [{"type": "string"}, named["additionalProperties"]]}
    schema["anyOf"] = [
        {"required": ["upstream"]},
        {"required": ["upstreams"], "properties": {"upstreams": {"required": ["default"]}}},
    ]
    pkce = schema["$defs"]["TikTokSettings"]["properties"]["pkce"]
    pkce["enum"] = [*pkce["enum"], False]  # what older YAML makes of a bare `off`
    del pkce["type"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Settings of the TikTok gateway",
    }


def _describe(part: dict[str, Any], of: type[BaseModel]) -> None:
    """Write defaults as an operator would, and descriptions on one line."""
    part.pop("title", None)
    described = _read_docstrings(of)
    for name, field in of.model_fields.items():
        key = part["properties"][name]
        for noise in ("title", "default", "format", "writeOnly"):
            key.pop(noise, None)
        if name in described:
            key["description"] = " ".join(described[name].split())
            key = part["properties"][name] = dict(sorted(key.items()))  # as pydantic sorts the others
        default = _written(field.default)
        if default is not None:
            key["default"] = default


def _read_docstrings(of: type[BaseModel]) -> dict[str, str]:
    """Return the texts that stand below the fields of a class."""
    described = {}
    for field, below in pairwise(cast("ast.ClassDef", ast.parse(inspect.getsource(of)).body[0]).body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                described[name] = text
    return described


def _written(default: Any) -> Any:
    """Return a default as it would stand in the file; None when there is none to show."""
    match default:
        case timedelta():
            return write_duration(default)
        case ListenerSettings():
            return str(default)
        case bool() | int():
            return default
        case str():
            return default or None
        case (ListenerSettings() as only,):
            return str(only)
        case tuple():
            return [part.model_dump(exclude_unset=True) if isinstance(part, BaseModel) else part for part in default]
        case _:
            return None


def _with_short_form(key: dict[str, Any], name: str) -> dict[str, Any]:
    """Allow the address alone in place of the mapping."""
    return {"description": key["description"], "anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{name}"}]}
