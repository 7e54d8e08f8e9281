"""The JSON Schema of the settings file, for editors; made from the model."""

from __future__ import annotations

from typing import Any

from gateway.settings.model import Settings


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Settings of the TikTok gateway"
    properties = schema["properties"]
    for short, words in (("redis", "URL"), ("upstream", "address")):
        whole = properties[short]
        reference = whole.pop("anyOf", None) or [{"$ref": whole.pop("$ref")}]
        properties[short] = {**whole, "anyOf": [{"type": "string", "description": words}, *reference]}
    schema["$defs"]["TikTokSettings"]["properties"]["pkce"] = {
        **schema["$defs"]["TikTokSettings"]["properties"]["pkce"],
        "enum": ["hex", "base64url", "off", False],
    }
    schema["$defs"]["TikTokSettings"]["properties"]["pkce"].pop("type", None)
    tidy: dict[str, Any] = _tidy(schema)
    return tidy


def _tidy(node: Any) -> Any:
    """Drop what pydantic adds and no editor needs: titles of fields, and formats that hide references."""
    if isinstance(node, dict):
        kept = {key: _tidy(value) for key, value in node.items() if key not in {"format", "writeOnly"}}
        if isinstance(kept.get("title"), str) and "properties" not in kept and "type" in kept | {"enum": 0}:
            kept.pop("title")
        if isinstance(kept.get("description"), str):
            kept["description"] = " ".join(kept["description"].split())
        return kept
    return [_tidy(each) for each in node] if isinstance(node, list) else node
