"""One record of each kind, with every field set; and with no more than is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from gateway.core.assertion import AssertionKeys
from gateway.core.grant import Grant, build_grant_key, build_index_key, build_lease_key
from gateway.core.kept_post import FormField, KeptPost
from gateway.core.keyring import Keyring, name_instance
from gateway.core.operator_session import OperatorSession
from gateway.core.qr_code import QrCode, Scan, ScanStatus
from gateway.core.record import Record
from gateway.core.session import Session, build_session_key
from gateway.core.sign_in import FinishedSignIn, SignInAttempt, build_attempt_key, build_finished_key, hash_binding
from gateway.core.tiktok import Profile, TokenSet
from gateway.flows import disconnect
from gateway.flows.outbox import Job
from gateway.flows.qr_sign_in import KeptScan
from gateway.flows.webhook_log import NotedWebhook
from gateway.web.behind.event_delivery import Delivery

KEYRING: Final = Keyring([b"the key of the frozen records..."], b"of one instance.")
NOW: Final = datetime(2026, 11, 28, 12, 0, 0, 123456, UTC)
TOKENS: Final = TokenSet(
    "-000ada",
    "act.1",
    "rft.1",
    ("user.info.basic", "video.list"),
    NOW,
    NOW + timedelta(days=1),
    NOW + timedelta(days=365),
)
PROFILE: Final = Profile("-000ada", "union", "ada", "李 🦊", "https://p16.example/a.jpg?x=1", True, 1200, 7, 2**40, 3)
FIELDS: Final = (FormField("title", "a\r\nb"), FormField("file", None))
KINDS: Final[dict[str, type[Record]]] = {
    kind.purpose: kind
    for kind in (SignInAttempt, FinishedSignIn, Session, Grant, KeptPost, Job, OperatorSession, NotedWebhook, KeptScan)
}


def build_examples() -> dict[str, tuple[str, Record]]:
    """Return by a name of each: the key that it is stored under, and the record."""
    attempt = SignInAttempt(
        binding=b"b" * 32, code_verifier="v" * 43, return_to="/a?b=c", scopes=("user.info.basic",), begun_at=NOW
    )
    full = msgspec.structs.replace(attempt, extra=("video.list",), regains_for="-000ada")
    grant = Grant(tokens=TOKENS, profile=Profile("-000ada"), profile_read_at=NOW)
    more = Grant(
        tokens=TOKENS, profile=PROFILE, profile_read_at=NOW, granted_at=NOW, refresh_lost=True, wanted=("video.list",),
        spare=TOKENS,
    )  # fmt: skip
    post = KeptPost(binding=b"b" * 32, target="/form?x", encoding="multipart/form-data", fields=FIELDS)
    operator = OperatorSession(
        session_id="id", key_digest=b"d" * 32, form_token="f" * 43, secure=True, signed_in_at=NOW, seen_at=NOW
    )
    return {
        "attempt": ("attempt:1", attempt),
        "attempt with all": ("attempt:2", full),
        "attempt by a code": ("attempt:3", msgspec.structs.replace(attempt, qr=QrCode("https://u", "token", "ticket"))),
        "finished": ("finished:1", FinishedSignIn(binding=b"b" * 32, return_to="/a")),
        "session": (
            "session:1",
            Session(
                subject="-000ada",
                grant_key=build_grant_key("client", "-000ada"),
                signed_in_at=NOW,
                last_seen_at=NOW,
                user_agent="Mozilla/5.0",
            ),
        ),
        "grant": ("grant:1", grant),
        "grant with all": ("grant:2", more),
        "kept post": ("kept-post:1", post),
        "operator session": ("operator", operator),
        "noted webhook": ("webhook-log", NotedWebhook("authorization.removed", NOW, NOW, "mark", "ended")),
        "scan": (
            "scan:1",
            KeptScan(scan=Scan(status=ScanStatus.CONFIRMED, ticket="t", code="c", state="s", redirect_uri="u")),
        ),
        "job": ("job:1", Job(kind="revocation", data=b"data", added_at=NOW, due_at=NOW)),
        "job with all": ("job:2", Job(kind="event", data=b"data", added_at=NOW, due_at=NOW, failures=3)),
    }


def build_names() -> dict[str, str]:
    """Return what versions must agree on besides: keys of the store, and public keys of the assertion."""
    return {
        "attempt": build_attempt_key("state"),
        "finished": build_finished_key("state"),
        "session": str(build_session_key(b"A" * 43)),
        "grant": build_grant_key("client", "-000ada"),
        "index": build_index_key("client", "-000ada"),
        "lease": build_lease_key("grant:1"),
        "binding": hash_binding("b" * 43).hex(),
        "assertion": AssertionKeys([b"the key of the frozen records..."]).public_set()["keys"][0]["kid"],
        "instance": name_instance("client", "https://app.example.com").hex(),
    }


def build_jobs() -> dict[str, bytes]:
    """Return what jobs have with them, by a name of each."""
    return {
        "revocation": disconnect._encode([TOKENS]),
        "revocation of two": disconnect._encode([TOKENS, TOKENS]),
        "event": msgspec.msgpack.encode(Delivery("authorization.removed", "id", "-000ada", b"{}")),
        "event of nobody": msgspec.msgpack.encode(Delivery("post.publish", "id", None, b"{}")),
    }


def read_job(name: str, data: bytes) -> object:
    """Read that as whoever does the job."""
    if name.startswith("event"):
        return msgspec.msgpack.decode(data, type=Delivery)
    return disconnect._decoder.decode(data)
