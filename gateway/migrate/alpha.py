"""oauth2-proxy's structured configuration (`--alpha-config`): the same keys, upstreams and headers, from its tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.errors import SettingsError
from gateway.migrate.old import Header, Upstream, Value
from gateway.settings.yaml_file import parse_yaml

_REFERENCE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SERVERS: Final = {
    "server": ("http_address", "https_address"),
    "metricsServer": ("metrics_address", "metrics_secure_address"),
}
_NARROWING: Final = frozenset(
    {
        *("allowedGroups", "allowedTenants", "group", "groups", "org", "projects", "repo", "repository", "roles"),
        *("team", "users"),
    }
)
_KNOWN: Final = frozenset({*_SERVERS, "upstreamConfig", "upstreams", "injectRequestHeaders", "injectResponseHeaders"})


class Alpha:
    """What is read of such a file. Raises `SettingsError` for one that is none."""

    def __init__(self, text: str) -> None:
        try:
            tree = parse_yaml(_REFERENCE.sub(r"${\1}", text))
        except ValueError as error:
            raise SettingsError(f"the structured configuration {error}") from None
        self._tree = _mapping(tree)
        self.values: dict[str, Value] = dict(self._read_servers())
        self.unknown = tuple(sorted(name for name in self._tree if name not in _KNOWN | {"providers"}))
        self.upstreams = tuple(self._read_upstreams())
        # those of answers are for fronts that ask; where there is an app, it is told by those of requests
        asked_only = all(upstream.static for upstream in self.upstreams)
        self.headers = tuple(self._read_headers("injectResponseHeaders" if asked_only else "injectRequestHeaders"))

    def _read_servers(self) -> Iterator[tuple[str, Value]]:
        for name, keys in _SERVERS.items():
            server = {key.lower(): value for key, value in _mapping(self._tree.get(name)).items()}
            for key, address in zip(keys, ("bindaddress", "securebindaddress"), strict=True):
                if server.get(address):
                    yield key, str(server[address])
        if self._tree.get("providers"):
            yield "provider", "another"
        if _narrows(self._tree.get("providers")):
            yield "allowed_groups", ("of a provider",)

    def _read_upstreams(self) -> Iterator[Upstream]:
        listed = _list(_mapping(self._tree.get("upstreamConfig")).get("upstreams")) or _list(
            self._tree.get("upstreams")
        )
        for each in map(_mapping, listed):
            yield Upstream(
                uri=str(each.get("uri") or ""),
                path=str(each.get("path") or "/"),
                static=each.get("static") is True,
                rewrite=str(each.get("rewriteTarget") or ""),
                pass_host=each.get("passHostHeader") is not False,
                websockets=each.get("proxyWebSockets") is not False,
                verify=each.get("insecureSkipTLSVerify") is not True,
                timeout=str(each.get("timeout") or ""),
            )

    def _read_headers(self, name: str) -> Iterator[Header]:
        for each in map(_mapping, _list(self._tree.get(name))):
            for value in map(_mapping, _list(each.get("values"))):
                source = _mapping(value.get("claimSource") or value)  # before 7.14, without a level of its own
                claim = "" if "basicAuthPassword" in source else str(source.get("claim") or "")
                yield Header(str(each.get("name") or ""), claim, str(source.get("prefix") or ""))


def _narrows(node: Any) -> bool:
    """Whether somewhere within a provider there is a key that keeps people out."""
    if isinstance(node, dict):
        return any((value and name in _NARROWING) or _narrows(value) for name, value in node.items())
    return any(map(_narrows, node)) if isinstance(node, list) else False


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
