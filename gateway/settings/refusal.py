"""What the model refuses, said to an operator: which key, what is wrong with it, and what would be right.

pydantic's own words never quote a value (`hide_input_in_errors`), and the rules of ours that do are not asked of
secrets; a path is shown as far as it is made of keys, because a secret in the wrong place may be taken for one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.settings.keys import keys_at, secret_in
from gateway.settings.yaml_file import KeyPath

EXAMPLES: Final = {
    "public_url": "public_url: https://app.example.com",
    "upstream": "upstream: http://127.0.0.1:3000 (the app to protect), or `upstream: none` to only answer forward-auth",
    "redis": "redis: redis://127.0.0.1:6379/0 (or memory://, for development)",
    "secret_keys": 'secret_keys: ["${GATEWAY_SECRET_KEY}"], made with `gateway keys new`',
    "tiktok": "tiktok: {client_key: …, client_secret: …}, from the app's page at developers.tiktok.com",
    "client_key": 'client_key: "${TIKTOK_CLIENT_KEY}"',
    "client_secret": 'client_secret: "${TIKTOK_CLIENT_SECRET}"',
    "url": "url: http://127.0.0.1:3000",
    "path": "path: /admin/**",
    "name": "name: nightly-export",
    "key": 'key: "${JOB_KEY}", made with `gateway keys new`',
    "nodes": "nodes: [redis-1.internal:6379, redis-2.internal:6379]",
    "service": "service: mymaster",
}
"""What would be right where a key is missing, by the key's own name."""
_LIKE_A_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")


def show_path(path: KeyPath) -> str:
    """Write a path as it is read, like `routes[0].path`: as far as it is made of keys, and not into a secret."""
    return "".join(_show_part(part) for part in secret_in(path) or path).lstrip(".")


def read_path(text: str) -> KeyPath:
    """The reverse of `show_path`."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", text))


def _show_part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    found = _LIKE_A_KEY.match(part)
    return f".{part}" if found is not None and found[0] == part else f".{found[0] if found else ''}…"


def explain(kind: str, path: KeyPath, message: str, context: Mapping[str, Any]) -> str:
    """Say what a pydantic error means to an operator, and what would be right."""
    match kind:
        case "missing":
            example = EXAMPLES.get(str(path[-1])) if path else None
            return f"is missing; add {example}" if example else "is missing"
        case "extra_forbidden":
            return _explain_unknown(path)
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            known = ", ".join(sorted(keys_at(path)))
            return f"must be a mapping; keys here are {known}" if known else "must be a mapping of names to values"
        case "tuple_type" | "list_type":
            return "must be a list: items within [ ], or each on a line of its own after `- `"
        case "string_type":
            return "must be text; put it in quotes"
        case "string_too_short" | "too_short":
            return "is empty"
        case "string_too_long":
            return f"has more than {context['max_length']} characters"
        case "string_pattern_mismatch":
            return f"is not of the form {context['pattern']}"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return "must be a whole number"
        case "greater_than_equal":
            return f"must be {context['ge']} or more"
        case "less_than_equal":
            return f"must be {context['le']} or less"
        case _:
            return message[:1].lower() + message[1:]


def _explain_unknown(path: KeyPath) -> str:
    """Name the nearest right spelling among the keys of the same mapping."""
    known, last = keys_at(path[:-1]), str(path[-1])
    if secret_in(path) is not None:
        return f"has a key that is none; keys here are {', '.join(sorted(known))}"
    forgotten = last.partition(":")[0]
    if forgotten != last and forgotten in known:
        return f"is not a key; is a space missing after `{forgotten}:`?"
    close = difflib.get_close_matches(last[:64], known, n=1, cutoff=0.5)
    if close:
        return f"is not a key; did you mean `{close[0]}`?"
    return "is not a key" + (f"; keys here are {', '.join(sorted(known))}" if known else "")
