"""The admin API's description (OpenAPI 3.1), made from the table of its operations and the types of its answers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, get_args

import msgspec

from gateway import __version__
from gateway.errors import CrossSite, GatewayError, MalformedRequest, StoreUnavailable, Unauthenticated
from gateway.web.admin.operations import OPERATIONS, Operation
from gateway.web.admin.reload import PATH as RELOAD
from gateway.web.admin.reload import ReloadOutcome

_USUAL: Final = (MalformedRequest, Unauthenticated, CrossSite, StoreUnavailable)
"""What any operation with a key may end in."""
_PROBLEM: Final = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "From a fixed list, for programs."},
        "detail": {"type": "string", "description": "What to do about it."},
        "request_id": {"type": "string", "description": "Names the request in the log."},
        "missing_scopes": {"type": "array", "items": {"type": "string"}},
    },
}
_SECURITY: Final = {
    "operator": {"type": "http", "scheme": "bearer", "description": "One of `admin.keys`."},
    "client": {"type": "http", "scheme": "bearer", "description": "The key of one of `tokens.clients`."},
}


def describe_api() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _describe(operation)
    paths[RELOAD]["post"] = _describe_reload()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tiktok-gateway: admin API",
            "version": __version__,
            "description": "On the admin listener (`admin.listen`), for programs: a browser's requests are refused.",
        },
        "servers": [{"url": "http://127.0.0.1:9090", "description": "`admin.listen`, as it is by default."}],
        "paths": dict(paths),
        "components": {"schemas": _schemas() | {"Problem": _PROBLEM}, "securitySchemes": _SECURITY},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.says.partition(". ")[0].removesuffix("."),
        "description": operation.says,
        "security": [{operation.key: []}] if operation.key is not None else [],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation)],
        "responses": {"200": _answer(operation)} | _problems(operation),
    }
    if operation.takes is not None:
        content = {"application/json": {"schema": _reference(operation.takes)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _describe_reload() -> dict[str, Any]:
    """Describe what `reload` answers: it is there without keys, too, and says in plain words why it does nothing."""
    outcome = {"content": {"application/json": {"schema": _reference(ReloadOutcome)}}}
    words = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": "reload",
        "summary": "Read the settings anew",
        "description": "Read the settings anew, and put them in force unless refused. A unix socket needs no key.",
        "security": [{"operator": []}, {}],
        "parameters": [],
        "responses": {
            "200": {"description": "They are in force."} | outcome,
            "401": {"description": "A key is needed."} | words,
            "403": {"description": "A browser asks."} | words,
            "404": {"description": "These settings come from no file."} | words,
            "422": {"description": "They are refused; those of before stay in force."} | outcome,
        },
    }


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for each in operation.parameters:
        said = {"name": each.name, "in": "query", "description": each.says, "schema": each.schema}
        yield said | ({"required": True} if each.required else {})


def _answer(operation: Operation) -> dict[str, Any]:
    kinds = _kinds(operation)
    schema = _reference(kinds[0]) if len(kinds) == 1 else {"oneOf": [_reference(kind) for kind in kinds]}
    content = {"application/json": {"schema": schema if kinds else {"type": "object"}}}
    return {"description": "Done.", "content": content}


def _problems(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[type[GatewayError]]] = defaultdict(list)
    for error in (*(_USUAL if operation.key is not None else ()), *operation.errors):
        by_status[error.status].append(error)
    return {str(status): _problem(status, errors) for status, errors in sorted(by_status.items())}


def _problem(status: int, errors: list[type[GatewayError]]) -> dict[str, Any]:
    codes = "; ".join(f"`{error.code}`: {error.title}" for error in errors)
    said: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}. {codes}.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    text = {"schema": {"type": "string"}}
    if status == HTTPStatus.UNAUTHORIZED:
        said["headers"] = {"WWW-Authenticate": {"description": 'Bearer realm="admin" (RFC 6750 §3).'} | text}
    elif any(error.retry_after is not None for error in errors):
        said["headers"] = {"Retry-After": {"description": "Seconds."} | text}
    return said


def _kinds(operation: Operation) -> tuple[type[msgspec.Struct], ...]:
    if operation.answers is None:
        return ()
    return get_args(operation.answers) or (operation.answers,)


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _schemas() -> dict[str, Any]:
    kinds = dict.fromkeys(
        kind
        for operation in OPERATIONS
        for kind in (*_kinds(operation), *((operation.takes,) if operation.takes is not None else ()))
    )
    return msgspec.json.schema_components([*kinds, ReloadOutcome], ref_template="#/components/schemas/{name}")[1]
