"""Writes `gateway/settings/keywords.py` from the schema of the settings, for `ruff format` to lay out:

python -m tests.settings.write_keywords && ruff format gateway/settings/keywords.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.settings import json_schema

KEYWORDS = Path(__file__).parents[2] / "gateway/settings/keywords.py"

HEAD = '''"""The settings as keyword arguments, for editors and type checkers: the same names as in the file.

Written by `python -m tests.settings.write_keywords`, from the model: change that, and never this file. Any key may be
left out here, as the file or the environment may have it; what is missing is told when the settings are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypedDict
'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_DURATION = re.compile(r"[0-9]+(ms|s|m|h|d)|0")


def write_keywords() -> str:
    """Return the file's text."""
    schema = json_schema()
    sections = {**schema["$defs"], "Settings": schema}
    return HEAD + "".join("\n\n" + "\n".join(_write_class(name, sections[name])) + "\n" for name in sections)


def _write_class(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"class {_name(name)}(TypedDict, total=False):"
    description = schema["description"].partition("\n")[0]
    yield f'    """{description if name != "Settings" else "What `protect` takes besides the app."}"""'
    yield ""
    for key, value in schema["properties"].items():
        yield f"    {key}: {_type(value)}"


def _type(schema: Mapping[str, Any]) -> str:
    kinds = dict.fromkeys(_alternatives(schema))
    return " | ".join(sorted(kinds, key=lambda kind: kind == "None"))


def _alternatives(schema: Mapping[str, Any]) -> Iterator[str]:
    if "anyOf" in schema or "oneOf" in schema:
        for each in schema.get("anyOf", schema.get("oneOf")):
            yield from _alternatives(each)
    elif "$ref" in schema:
        yield _name(schema["$ref"].rpartition("/")[2])
    elif "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        yield "Literal[" + ", ".join(f'"{each}"' if isinstance(each, str) else repr(each) for each in values) + "]"
    elif isinstance(schema.get("type"), list):
        for kind in schema["type"]:
            yield _PLAIN[kind]
    elif schema.get("type") == "array":
        yield f"Sequence[{_type(schema['items'])}]"
    elif schema.get("type") == "object":
        yield f"Mapping[str, {_type(schema['additionalProperties'])}]"
    else:
        yield _PLAIN[schema["type"]]
        if _DURATION.fullmatch(str(schema.get("default", ""))):
            yield "timedelta"


def _name(section: str) -> str:
    return (section.removesuffix("Settings") or "Settings") + "Keywords"


if __name__ == "__main__":
    KEYWORDS.write_text(write_keywords())
