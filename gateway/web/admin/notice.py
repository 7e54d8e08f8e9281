"""What a page says after an act: it is in its address, with a mark that only this operator's session makes.

So no link of anybody's has a page claim that something was done (content spoofing).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.requests import Request

from gateway.core.operator_session import OperatorSession
from gateway.web.answers.answer import Answer, redirect

NOTICES: Final = {
    "session": "The session has ended.",
    "sessions": "All sessions of this person have ended.",
    "grant": "The grant has ended, and every session with it.",
    "erased": "Nothing is kept of this person any more.",
    "erasing": "Erased here. TikTok has not confirmed yet; it is asked again until it does.",
    "nobody": "There was neither session nor grant of this person.",
    "gone": "It had ended already.",
}
"""By the word in the address."""
_DID: Final = "did="


def tell_done(session: OperatorSession, to: str, word: str) -> Answer:
    """Send the operator to a page that says what was done; `to` is its address, up to the last "?" or "&"."""
    return redirect(303, f"{to}{_DID}{word}.{_mark(session, to, word)}")


def read_notice(session: OperatorSession, request: Request) -> str:
    """Return what the page at this address is to say was done; "" for nothing."""
    to, _, did = f"{request.url.path}?{request.url.query}".rpartition(_DID)
    word, _, mark = did.partition(".")
    ours = hmac.compare_digest(mark.encode(), _mark(session, to, word).encode())
    return NOTICES.get(word, "") if ours else ""


def _mark(session: OperatorSession, to: str, word: str) -> str:
    return hmac.new(session.form_token.encode(), f"{word} {to}".encode(), hashlib.sha256).hexdigest()[:32]
