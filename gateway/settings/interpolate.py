"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in any string.

Only `${` is special: a password may have any `$` in it. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with its references resolved. Raises `ValueError` that says what is missing."""
    return _REFERENCE.sub(lambda found: _resolve(found, environ), text)


def has_reference(text: str) -> bool:
    """Whether `text` takes a value from elsewhere."""
    return any(found[1] is not None for found in _REFERENCE.finditer(text))


def _resolve(found: re.Match[str], environ: Mapping[str, str]) -> str:
    reference = found[1]
    if found[0] == "$${":
        return "${"
    if reference is None:
        raise ValueError("has `${` without `}`; write `$${` for a literal `${`")
    if reference.startswith("file:"):
        return _read_file(reference.removeprefix("file:"))
    name = _NAME.fullmatch(reference)
    if name is None:
        raise ValueError(f"has `${{{reference}}}`, which is neither ${{NAME}}, ${{NAME:-default}} nor ${{file:PATH}}")
    value = environ.get(name[1])
    if value is None and name[2] is None:
        raise ValueError(
            f"needs the environment variable {name[1]}, which is not set: set it, or write ${{{name[1]}:-default}}"
        )
    return value if value is not None else name[2]


def _read_file(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"cannot read the file {path}: {reason}") from None
    return text.removesuffix("\n").removesuffix("\r")
