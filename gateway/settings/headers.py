"""Rules of the headers by which an app is told of a person."""

from __future__ import annotations

import re
from typing import Final

from gateway.settings.problem import quote

TEMPLATE_FIELDS: Final = (
    "open_id",
    "union_id",
    "username",
    "display_name",
    "avatar_url",
    "scopes",
    "access_token",
    "token_expires_at",
    "session_id",
    "signed_in_at",
)
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNTOUCHABLE: Final = re.compile(
    r"(?i)host|cookie|set-cookie|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    r"proxy-.*|sec-.*|forwarded|x-forwarded-(for|host|proto|port)|x-real-ip|x-request-id|x-gateway-check"
)


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return header templates by name. Raises `ValueError` that says what to write instead."""
    for name, template in headers.items():
        if not TOKEN.fullmatch(name) or _UNTOUCHABLE.fullmatch(name):
            raise ValueError(f"has {quote(name)}, which cannot carry identity; choose a name of your own")
        _check_template(name, template)
    return headers


def _check_template(name: str, template: str) -> None:
    if not re.fullmatch(r"[\x20-\x7e]+", template) or template != template.strip():
        raise ValueError(f"has a template for {name} that is empty, padded with spaces, or not plain ASCII")
    rest = re.sub(r"\{([a-z_]+)\}", "", template)
    unknown = [field for field in re.findall(r"\{([a-z_]+)\}", template) if field not in TEMPLATE_FIELDS]
    if unknown or "{" in rest or "}" in rest:
        fields = ", ".join(TEMPLATE_FIELDS)
        raise ValueError(f"has a template for {name} with a field that is none; fields are {fields}, in braces")
