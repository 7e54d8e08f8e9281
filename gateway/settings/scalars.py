"""The small types that settings are made of."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from gateway.settings.problem import quote

_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = timedelta(days=3660)
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*(B|KiB|MiB|GiB)?")
_BYTES: Final = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ONE_WORD: Final = re.compile(r"[^\s\x00-\x20\x7f]+")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1035 §2.3.4: Python's resolver raises for longer
HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]")

HOST_AND_PORT: Final = re.compile(rf"(?:{HOST.pattern})(?::\d{{1,5}})?")


def read_duration(value: Any) -> timedelta:
    """Read `10s`, `1h30m`, `7d`."""
    return _positive(read_span(value))


def read_span(value: Any) -> timedelta:
    """As `read_duration`; `0s` is a duration too, and so is a bare 0, which needs no unit."""
    if isinstance(value, timedelta):
        return value
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"0+(?:\.0+)?", text):
        return timedelta(0)
    if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", text):
        raise ValueError(f"is a duration without a unit: write {text}s, {text}m, {text}h or {text}d")
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("is no duration: write it like 500ms, 10s, 5m, 1h30m or 7d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds >= _LONGEST.total_seconds():
        raise ValueError("must not be longer than ten years")
    return timedelta(seconds=seconds)


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("must be longer than nothing")
    return duration


def write_duration(duration: timedelta) -> str:
    """Write a duration in its largest whole unit."""
    seconds = duration.total_seconds()
    unit = next((unit for unit in ("d", "h", "m", "s") if seconds % _SECONDS[unit] == 0), "ms")
    return f"{round(seconds / _SECONDS[unit])}{unit}"


def read_size(value: Any) -> int:
    """Read `32KiB`, `8MiB`, or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise ValueError("is no size: write it like 8KiB, 32KiB or 1MiB")
    return int(found[1]) * _BYTES[found[2]]


def read_optional_size(value: Any) -> int | None:
    """As `read_size`; `none` is no limit."""
    return None if value is None or value == "none" else read_size(value)


def read_existing_file(value: Any, info: ValidationInfo) -> str:
    """Read the path of a file that is there; a relative one is meant from where the settings file is."""
    return _read_path(value, info, "file", Path.is_file)


def read_existing_folder(value: Any, info: ValidationInfo) -> str:
    """As `read_existing_file`, of a folder; whatever lies in it belongs to the settings."""
    folder = _read_path(value, info, "folder", Path.is_dir)
    (info.context or {}).get("named", set()).update(path for path in Path(folder).rglob("*"))
    return folder


def _read_path(value: Any, info: ValidationInfo, kind: str, is_there: Callable[[Path], bool]) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is no {kind}: write its path")
    path = _locate(value, info)
    try:
        found = is_there(path)
    except (OSError, ValueError) as error:  # no right to look, or a name that no file has
        raise ValueError(f"cannot be looked at: {quote(value)}: {getattr(error, 'strerror', 'no path')}") from None
    if not found:
        raise ValueError(f"is no {kind}: {quote(str(path))}")
    return str(path)


def read_file_path(value: Any, info: ValidationInfo) -> str:
    """Read the path of a file, there or not yet; a relative one is meant from where the settings file is."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("is no file: write its path")
    return str(_locate(value, info))


def _locate(value: str, info: ValidationInfo) -> Path:
    """Return the path that is meant; it is named, also when it is not there: it may come."""
    context = info.context or {}
    path: Path = context.get("beside", Path()) / value
    context.get("named", set()).add(path)
    return path


def read_switch(value: Any) -> Any:
    """Read what is `on` or `off` among other things: for older YAML they are true and false."""
    return ("off", "on")[value] if isinstance(value, bool) else value


def read_trusted(value: Any) -> str:
    """Read a CIDR, an address, or `unix`."""
    if value == "unix":
        return "unix"
    try:
        if not isinstance(value, str):  # a number is an address too, for Python
            raise ValueError
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError("is neither a CIDR like 10.0.0.0/8, nor an address, nor `unix`") from None


def read_public_url(value: Any) -> str:
    """Read an origin; returns it in lower case, without a default port and without a final slash."""
    try:
        parts = urlsplit(value if isinstance(value, str) and _ONE_WORD.fullmatch(value) else "")
        host, port = parts.hostname, parts.port
    except ValueError:  # its words would quote the URL
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("is no address: write what browsers type, like https://app.example.com")
    if "@" in value:
        raise ValueError("must have no user and no password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"must end after the host, like {parts.scheme}://{host}")
    shown = f"[{host}]" if ":" in host else host
    if not HOST.fullmatch(shown):
        raise ValueError("has a host that is none; write an international name in its xn-- form")
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}{f':{port}' if port not in {None, default} else ''}"


def read_origin(value: Any) -> str:
    """Read an origin as browsers write it in `Origin`: scheme, host and port, of any scheme (`capacitor://localhost`)."""
    scheme, separator, host = value.partition("://") if isinstance(value, str) else ("", "", "")
    if value == "*":
        raise ValueError(
            "is no origin but all of them: every site could speak for whoever is signed in; list those that may"
        )
    if scheme.lower() in {"http", "https"}:
        return read_public_url(value)
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or not HOST_AND_PORT.fullmatch(host):
        raise ValueError("is no origin: write it like https://www.example.com or capacitor://localhost")
    return f"{scheme}://{host}".lower()


def read_upstream_urls(value: Any) -> tuple[str, ...]:
    """Read the address of an app, or a list of them: scheme, host and port without a path, or `unix:/path`."""
    values = value if isinstance(value, list | tuple) else [value]
    urls = tuple(_read_upstream_url(each) for each in values)
    if not urls:
        raise ValueError("is empty: write it like http://127.0.0.1:3000")
    if len({urlsplit(url).scheme for url in urls}) > 1:
        raise ValueError("mixes schemes: all addresses of one app have the same")
    return tuple(dict.fromkeys(urls))


def _read_upstream_url(value: Any) -> str:
    if isinstance(value, str) and value.startswith("unix:"):
        path = re.sub(r"^/{2,}", "/", value.removeprefix("unix:"))
        if len(path) < 2 or not path.startswith("/"):
            raise ValueError("has no path: write it like unix:/run/app.sock")
        return f"unix:{path}"
    try:
        return read_public_url(value)
    except ValueError:
        raise ValueError(
            "is no address of an app: write it like http://127.0.0.1:3000 (without a path) or unix:/run/app.sock"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether what goes to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def read_endpoint(value: Any) -> str:
    """Read the full address of one of TikTok's endpoints."""
    try:
        parts = urlsplit(value if isinstance(value, str) and _VISIBLE.fullmatch(value) else "")
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is no http or https address")
    if "@" in parts.netloc:
        raise ValueError("must have no user and no password: TikTok's addresses have none")
    if not parts.path.endswith("/"):
        raise ValueError("must end with `/`: TikTok answers 404 without it")
    return str(value)


_TEXT = {"type": "string"}

Duration = Annotated[timedelta, BeforeValidator(read_duration), WithJsonSchema(_TEXT)]
Span = Annotated[timedelta, BeforeValidator(read_span), WithJsonSchema({"anyOf": [_TEXT, {"const": 0}]})]
Size = Annotated[int, BeforeValidator(read_size), WithJsonSchema({"type": ["string", "integer"]})]
OptionalSize = Annotated[
    int | None, BeforeValidator(read_optional_size), WithJsonSchema({"type": ["string", "integer", "null"]})
]
Tracing = Annotated[
    Literal["off", "on", "join_anyone"],
    BeforeValidator(read_switch),
    WithJsonSchema({"enum": ["off", "on", "join_anyone", True, False]}),
]
Trusted = Annotated[str, BeforeValidator(read_trusted), WithJsonSchema(_TEXT)]
PublicUrl = Annotated[str, BeforeValidator(read_public_url), WithJsonSchema(_TEXT)]
Origin = Annotated[str, BeforeValidator(read_origin), WithJsonSchema(_TEXT)]
UpstreamUrls = Annotated[
    tuple[str, ...],
    BeforeValidator(read_upstream_urls),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
FilePath = Annotated[str, BeforeValidator(read_file_path), WithJsonSchema(_TEXT)]
ExistingFile = Annotated[str, BeforeValidator(read_existing_file), WithJsonSchema(_TEXT)]
Endpoint = Annotated[str, BeforeValidator(read_endpoint), WithJsonSchema(_TEXT)]
