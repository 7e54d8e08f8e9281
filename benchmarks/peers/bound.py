"""A session that is bound to a device, as a browser binds it: by a key, which then has to be proved."""

from __future__ import annotations

import re

import httpx
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.simulator import consent

_NAVIGATION = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
_PARAMETER = re.compile(r';(challenge|authorization|path)="([^"]*)"')


def sign_in(url: str, *, bind: bool) -> str:
    """Sign in at a gateway whose public address is of https; returns the cookies, with a proof if it is to `bind`."""
    begun = httpx.get(url + "/", headers=_NAVIGATION, trust_env=False)
    target = consent(begun.headers["location"]).partition("://")[2].partition("/")[2]
    headers = _NAVIGATION | {"cookie": _read_cookies(begun)}
    completed = httpx.get(f"{url}/{target}", headers=headers, trust_env=False)
    session = _read_cookies(completed)
    return f"{session}; {_bind(url, completed.headers['secure-session-registration'])}" if bind else session


def _bind(url: str, offered: str) -> str:
    """Show a key, as it was offered; returns the cookie that stands for its proof."""
    told, key = dict(_PARAMETER.findall(offered)), ECKey.generate_key("P-256")
    header = {"alg": "ES256", "typ": "dbsc+jwt", "jwk": key.as_dict(private=False)}
    payload = f'{{"authorization":"{told["authorization"]}","jti":"{told["challenge"]}"}}'
    registry = jws.JWSRegistry(algorithms=["ES256"])
    registry.max_header_length = 4096
    token = jws.serialize_compact(header, payload.encode(), key, registry=registry)
    answer = httpx.post(url + told["path"], headers={"secure-session-response": token}, trust_env=False)
    if answer.status_code != 200 or "set-cookie" not in answer.headers:
        raise AssertionError(f"does not bind: {answer.status_code} {answer.text[:300]}")
    return _read_cookies(answer)


def _read_cookies(answer: httpx.Response) -> str:
    """The cookies that an answer sets, as a browser would send them over https."""
    fields = [value.partition(";") for value in answer.headers.get_list("set-cookie")]
    return "; ".join(cookie for cookie, _, rest in fields if "Max-Age=0" not in rest)
