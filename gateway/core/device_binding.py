"""What binds a session to a device (DBSC): an offer, challenges, and the short-lived cookie that stands for a proof.

All of it is made of our keys and the session alone, so that nothing is stored, any replica knows what another has
made, and what was made under an older key holds while that key is in `secret_keys`.

    offer      goes with the answer that completes a sign-in; sealed, so that it can be for one session only
    challenge  what the device is to sign next: the same for a while (`CHALLENGE_EVERY`), then another
    proof      the value of the second cookie: until when the browser need not sign anything

A challenge may be answered more than once while it lasts: whoever could read the answer on its way has the proof as
well, and a browser that is held back (it may sign six times within nine minutes) can show what it has signed before.
"""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from gateway.core.keyring import Keyring
from gateway.core.session import SESSION_KEY, build_session_key_of
from gateway.errors import DeviceProofRefused, SealBroken

OFFER_LASTS: Final = timedelta(minutes=5)
"""A browser answers at once; a key in hardware may take half a minute to make."""
CHALLENGE_EVERY: Final = timedelta(minutes=5)
SKEW: Final = timedelta(minutes=1)
"""How far the clocks of replicas may be apart."""
GRACE: Final = timedelta(minutes=1)
"""Time from the moment of binding in which requests that were under way before need no proof."""
_PROOF: Final = "device proof"
_CHALLENGE: Final = "device challenge"
_OFFER: Final = "device offer"
_TAGGED: Final = struct.Struct(">I28s")  # seconds, and what proves that we said so: 43 characters, as all our cookies


class _Offer(msgspec.Struct, array_like=True, frozen=True):
    session: str
    until: int  # Unix seconds


class Offer(msgspec.Struct, frozen=True):
    """What a browser is asked to sign to bind itself."""

    challenge: str
    authorization: str


def name_binding(session_key: str) -> str:
    """Return what a browser calls the binding of a session (session_identifier); it opens nothing."""
    return session_key.removeprefix(SESSION_KEY)


def find_session_key(binding: bytes) -> str | None:
    """Return the store key of the session that a binding is of, given as browsers name it, quoted or not."""
    return build_session_key_of(binding.strip().removeprefix(b'"').removesuffix(b'"'))


def mark_of(session_key: str) -> str:
    """Return the end of the proof cookie's name: one for each binding, so that none takes another's place."""
    return name_binding(session_key)[:8]


def build_offer(keyring: Keyring, session_key: str, now: datetime) -> Offer:
    """Offer a session's browser to bind itself."""
    until = int((now + OFFER_LASTS).timestamp())
    sealed = keyring.seal(_OFFER, msgspec.msgpack.encode(_Offer(name_binding(session_key), until)))
    authorization = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    return Offer(_write(keyring.tag(_OFFER, sealed), until), authorization)


def open_offer(keyring: Keyring, offer: Offer, now: datetime) -> str:
    """Return the store key of the session that an offer is for. Raises `DeviceProofRefused`."""
    try:
        sealed = _decode(offer.authorization)
        opened = msgspec.msgpack.decode(keyring.open(_OFFER, sealed), type=_Offer)
        until, tag = _TAGGED.unpack(_decode(offer.challenge))
    except (SealBroken, ValueError, struct.error) as error:
        raise DeviceProofRefused(f"no offer of ours: {type(error).__name__}") from None
    if until != opened.until or not keyring.is_tag(tag, _OFFER, sealed):
        raise DeviceProofRefused("the challenge belongs to another offer")
    if now.timestamp() > opened.until:
        raise DeviceProofRefused("the offer has expired")
    return SESSION_KEY + opened.session


def build_challenge(keyring: Keyring, session_key: str, now: datetime) -> str:
    """Return what the device of a session is to sign now."""
    every = int(CHALLENGE_EVERY.total_seconds())
    return _stamp(keyring, _CHALLENGE, session_key, int(now.timestamp()) // every * every)


def is_challenge(keyring: Keyring, challenge: str, session_key: str, now: datetime, lasts: timedelta) -> bool:
    """Whether a challenge is this session's, and no older than `lasts`."""
    made_at = _read_stamp(keyring, _CHALLENGE, session_key, challenge)
    return made_at is not None and now - CHALLENGE_EVERY - lasts <= made_at <= now + SKEW


def build_proof(keyring: Keyring, session_key: str, until: datetime) -> str:
    """Return the value of the cookie that stands for a proof till then."""
    return _stamp(keyring, _PROOF, session_key, int(until.timestamp()))


def read_proof(keyring: Keyring, value: bytes, session_key: str) -> datetime | None:
    """Return until when a cookie stands for a proof of this session's device; None when it is none of ours.

    Replicas whose clocks are a little apart take it for as much longer.
    """
    until = _read_stamp(keyring, _PROOF, session_key, value.decode("latin-1"))
    return until + SKEW if until is not None else None


def _stamp(keyring: Keyring, purpose: str, session_key: str, seconds: int) -> str:
    return _write(keyring.tag(purpose, _message(session_key, seconds)), seconds)


def _read_stamp(keyring: Keyring, purpose: str, session_key: str, text: str) -> datetime | None:
    try:
        seconds, tag = _TAGGED.unpack(_decode(text))
    except (ValueError, struct.error):
        return None
    if not keyring.is_tag(tag, purpose, _message(session_key, seconds)):
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _message(session_key: str, seconds: int) -> bytes:
    return b"%b %d" % (session_key.encode(), seconds)


def _write(tag: bytes, seconds: int) -> str:
    return base64.urlsafe_b64encode(_TAGGED.pack(seconds, tag)).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Read base64url without padding, in its one form (RFC 4648 §3.5). Raises `ValueError`."""
    if len(text) > 1024:
        raise ValueError
    plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(plain).rstrip(b"=").decode() != text:
        raise binascii.Error
    return plain
