"""The switches: everything TikTok has been seen to do wrong, slowly or differently.

Set from Python (`simulator.troubles.token_delay = 6`) or over HTTP (`PATCH /simulator/troubles {"token_delay": 6}`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gateway.simulator.challenge import ChallengeForm


@dataclass(slots=True)
class Troubles:
    """All switches; the defaults are a TikTok on a good day. Times in seconds."""

    hints: bool = True  # errors also say what would have been right, in `hint`; TikTok's do not
    allow_http: bool = False  # redirect URIs without TLS for names like `app` in a Compose file; TikTok takes none
    require_state: bool = False
    refuse_client_id: bool = False  # also beside a right client_key
    require_challenge: bool = False
    challenge_form: ChallengeForm = "either"
    challenge_refused_at: Literal["token", "authorize"] = "token"
    auto_auth: bool = False  # reconnect a person silently unless disable_auto_auth=1
    error_status: int = 400  # of OAuth errors; TikTok has been seen to use 200 too
    error_without_state: bool = False
    error_type: str = ""
    code_lifetime: float = 60
    access_lifetime: float = 7200
    refresh_lifetime: float = 15_552_000
    rotate: Literal["always", "never"] = "always"
    lose_token_answers: int = 0  # this many answers are lost after the tokens have changed
    shuffle_scopes: bool = True
    omit_scope: bool = False
    omit_union_id: bool = False
    other_open_id: bool = False  # a refresh answers with the first person's
    token_error: str = ""  # an OAuth error for every token call
    user_info_error: str = ""  # an API error for every user-info call
    html: bool = False  # 502 with an HTML page, from every endpoint
    plain_text: bool = False  # 200 with words that are no JSON
    empty_body: bool = False
    token_delay: float = 0
    user_info_delay: float = 0
    hang: bool = False  # never answer
    empty_revoke_body: bool = False
    webhook_pause: float = 1  # before a webhook is sent again; twice as long each time, for 72 hours
    qr_lifetime: float = 300
    qr_code_in: Literal["code", "redirect_uri"] = "code"  # TikTok's pages have it in both places
    qr_wrapped: bool = False  # answers stand below `data`, as some have seen
    qr_refusal: Literal["expired", "access_denied"] = "expired"  # what a code is whose person has said no
    qr_ticket: str = ""  # answers with this ticket, as if for another code

    usual: dict[str, Any] = field(default_factory=dict)  # what `reset` leaves

    def keep(self, switches: Mapping[str, Any]) -> None:
        """Set switches that a reset does not turn back. Raises `ValueError` that names what is wrong."""
        self.update(switches)
        self.usual = dict(switches)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set some switches. Raises `ValueError` that names what is wrong."""
        hints = {name: kind for name, kind in get_type_hints(Troubles).items() if name != "usual"}
        for name, value in changes.items():
            if name not in hints:
                raise ValueError(f"there is no switch `{name}`; there are {', '.join(hints)}")
            setattr(self, name, _checked(name, hints[name], value))

    def as_dict(self) -> dict[str, Any]:
        """Return all switches."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "usual"}

    def reset(self) -> None:
        """Turn all switches back."""
        self.update(Troubles().as_dict() | self.usual)


def _checked(name: str, kind: Any, value: Any) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"`{name}` must be one of {', '.join(get_args(kind))}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"`{name}` must be a {kind.__name__}")
    return value
