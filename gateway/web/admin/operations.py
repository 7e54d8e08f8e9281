"""The admin API, said once: `api` answers by this table, and `openapi` describes it.

An operation's `name` is that of the method that answers it. Its parameters in the query are all that it takes: a filter
that is misspelt must not be passed over, least of all where something is ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from gateway.errors import (
    GatewayError,
    InsufficientScope,
    NoSuchGrant,
    NoSuchSession,
    ProviderUnavailable,
    RecordsUnreadable,
    TooManyTokens,
)
from gateway.flows.listing import MOST, GrantPage, SessionPage
from gateway.flows.oversight import Erased, GrantView, SessionView
from gateway.flows.token_desk import IssuedToken


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /tokens`."""

    open_id: str
    scopes: tuple[str, ...] = ()
    """Scopes that must be granted; without any, those that the client may have at all."""


class Ended(msgspec.Struct, frozen=True):
    """How many have been ended."""

    ended: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the query; `schema` is what it may be (JSON Schema)."""

    name: str
    says: str
    schema: dict[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be asked for. `key` is whose key it wants; None: anybody may ask."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    says: str
    key: Literal["operator", "client"] | None
    answers: Any  # a type, or types joined by |; None for any JSON
    parameters: tuple[Parameter, ...] = ()
    takes: type[msgspec.Struct] | None = None
    errors: tuple[type[GatewayError], ...] = ()


_USER: Final = Parameter("user", "`open_id` of a person.", {"type": "string", "minLength": 1})
_NAME: Final = Parameter(
    "name",
    "How a username or display name begins, in any case. It picks from each page: go on while there is `next`.",
    {"type": "string", "minLength": 1},
)
_LIMIT: Final = Parameter(
    "limit", "Most items of the page.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": MOST}
)
_CURSOR: Final = Parameter("cursor", "What `next` of the page before said.", {"type": "string"})
_ERASE: Final = Parameter(
    "erase", "1: erase everything that is known of the person, too.", {"type": "string", "enum": ["1"]}
)
_PAGED: Final = (
    " A page may have fewer items than `limit`, or none, while more follow: ask again with `cursor` until there is no "
    "`next`. What is there during the whole walk is listed, some of it maybe twice."
)

OPERATIONS: Final = (
    Operation(
        "GET",
        "/sessions",
        "list_sessions",
        "List live sessions, of all people or of one." + _PAGED,
        "operator",
        SessionPage,
        (_USER, _NAME, _LIMIT, _CURSOR),
    ),
    Operation(
        "DELETE",
        "/sessions",
        "end_sessions",
        "End all sessions of a person.",
        "operator",
        Ended,
        (Parameter(_USER.name, _USER.says, _USER.schema, required=True),),
        errors=(RecordsUnreadable,),
    ),
    Operation(
        "GET",
        "/sessions/{session_id}",
        "show_session",
        "Show a session. With `user` it is found at once.",
        "operator",
        SessionView,
        (_USER,),
        errors=(NoSuchSession,),
    ),
    Operation(
        "DELETE",
        "/sessions/{session_id}",
        "end_session",
        "End a session. With `user` it is found at once.",
        "operator",
        Ended,
        (_USER,),
        errors=(NoSuchSession,),
    ),
    Operation(
        "GET",
        "/grants",
        "list_grants",
        "List grants, without tokens; of all people or of one." + _PAGED,
        "operator",
        GrantPage,
        (_USER, _NAME, _LIMIT, _CURSOR),
    ),
    Operation(
        "GET",
        "/grants/{open_id}",
        "show_grant",
        "Show a person's grant, without tokens.",
        "operator",
        GrantView,
        errors=(NoSuchGrant,),
    ),
    Operation(
        "DELETE",
        "/grants/{open_id}",
        "end_grant",
        "End a person's grant, here and at TikTok, and every session of theirs.",
        "operator",
        Ended | Erased,
        (_ERASE,),
        errors=(NoSuchGrant, RecordsUnreadable),
    ),
    Operation(
        "POST",
        "/tokens",
        "issue_token",
        "Give a person's access token to a job of the app's own.",
        "client",
        IssuedToken,
        takes=TokenRequest,
        errors=(InsufficientScope, NoSuchGrant, TooManyTokens, ProviderUnavailable),
    ),
    Operation("GET", "/openapi.json", "describe", "Describe this API (OpenAPI 3.1).", None, None),
)
