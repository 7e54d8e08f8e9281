"""Sign-in by a code that a phone scans (device sign-in): the screen shows it, the TikTok app confirms it.

It is the sign-in of `sign_in` with another way to TikTok: the same attempt, bound to the browser that shows the code,
taken once, and the same end. What a callback proves by its state, the answer to our own question proves by the ticket.

The browser asks how far it is as often as it likes; TikTok is asked for one attempt once in `PAUSE`, whatever asks, by
whichever process. Nothing asks by itself: when the page is closed, the questions end. TikTok tells a code only once,
so what it said is kept, sealed, until the browser comes for it.

Nothing here tells whose screen it is that a person scans: see docs/qr.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol

import msgspec

from gateway.core.binding import Binding
from gateway.core.keyring import Keyring
from gateway.core.qr_code import QR_LASTS, QrCode, Scan, ScanStatus, new_ticket
from gateway.core.record import Record, read_record, seal_record
from gateway.core.sign_in import SignInAttempt, build_attempt_key, build_scan_key, hash_binding, new_state
from gateway.core.urls import ReturnTo
from gateway.errors import AccessDenied, AttemptUnknown, GatewayError, ProviderUnavailable, SignInRefused
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.attempts import Attempts
from gateway.flows.ports import Lease, QrCodes, Records
from gateway.flows.sign_in import Completed, SignIn, Unchanged
from gateway.flows.sign_in_report import SignInReport
from gateway.flows.visitor import Visitor
from gateway.telemetry.logs import log

PAUSE: Final = timedelta(milliseconds=1500)
"""Least time between two questions to TikTok about one code."""
_SAID: Final = frozenset({ScanStatus.CONFIRMED, ScanStatus.REFUSED})
"""What the person has said, by which the attempt ends."""


class QrStore(Records, Lease, Protocol):
    """What this flow needs of the store."""


class KeptScan(Record, frozen=True):
    """What TikTok last said of a code."""

    purpose: ClassVar[str] = "scan"

    scan: Scan


class Shown(msgspec.Struct, frozen=True):
    """A code, and how far the person is with it."""

    status: ScanStatus
    qr: QrCode
    return_to: str


class QrSignIn:
    """The sign-in by QR code; `scopes` are asked for."""

    def __init__(
        self,
        store: QrStore,
        attempts: Attempts,
        sign_in: SignIn,
        provider: QrCodes,
        keyring: Keyring,
        limit: AttemptLimit,
        *,
        scopes: tuple[str, ...],
        clock: Callable[[], datetime],
        report: SignInReport | None = None,
    ) -> None:
        self._report = report or SignInReport()
        self._store = store
        self._attempts = attempts
        self._sign_in = sign_in
        self._provider = provider
        self._keyring = keyring
        self._limit = limit
        self._scopes = scopes
        self._clock = clock

    async def begin(self, return_to: ReturnTo, *, binding: Binding, client_address: str) -> str:
        """Get a code from TikTok, and return the name of the attempt.

        Raises `TooManyAttempts` or `SignInsBusy` beyond a limit, and a `ProviderError`.
        """
        await self._limit.count(client_address)
        state = new_state()
        qr = await self._provider.begin_qr_code(self._scopes, state, new_ticket())
        attempt = SignInAttempt(
            binding=hash_binding(binding.value),
            code_verifier=None,
            return_to=return_to.url,
            scopes=self._scopes,
            begun_at=self._clock(),
            qr=qr,
        )
        await self._attempts.keep(build_attempt_key(state), attempt)
        self._report.begun()
        return state

    async def look(self, state: str, *, bindings: Sequence[Binding]) -> Shown:
        """Return the code of this browser's own attempt, and how far the person is with it.

        Raises a `SignInRefused` when it is none of this browser's, or a `ProviderMisconfigured`. While TikTok does not
        answer, it stays as it was.
        """
        attempt = (await self._attempts.find(state, bindings)).attempt
        if attempt.qr is None:
            raise AttemptUnknown("the state is not that of a QR code")
        if self._clock() >= attempt.begun_at + QR_LASTS:
            return Shown(ScanStatus.EXPIRED, attempt.qr, attempt.return_to)
        try:
            status = await self._ask(state, attempt.qr)
        except GatewayError as error:
            error.return_to = attempt.return_to
            raise
        return Shown(status, attempt.qr, attempt.return_to)

    async def open(self, state: str, visitor: Visitor) -> Shown | Completed | Unchanged:
        """Return how far the person is with a code; once they have said yes or no, the attempt ends as by a callback.

        Raises as `look` and `SignIn.complete` do; whose attempt it is not is told of, as of a stray callback.
        """
        try:
            shown = await self.look(state, bindings=visitor.bindings)
        except SignInRefused as error:
            return await self._sign_in.end(state, error, visitor, taken=False)
        return shown if shown.status not in _SAID else await self.complete(state, visitor)

    async def complete(self, state: str, visitor: Visitor) -> Completed | Unchanged:
        """Begin the session of a code that is confirmed, in the browser that has shown it.

        Raises as `SignIn.complete` does; the attempt is used up by then.
        """
        taken, return_to = False, None
        try:
            found = await self._attempts.find(state, visitor.bindings)
            return_to = found.attempt.return_to
            await self._attempts.take(found)
            taken = True
            scan = await self._take_scan(state)
            code = found.attempt.verify_scan(scan, state, found.binding.value, self._clock())
            return await self._sign_in.finish(found, code, visitor)
        except GatewayError as error:
            error.return_to = return_to
            return await self._sign_in.end(state, error, visitor, taken=taken)

    async def _ask(self, state: str, qr: QrCode) -> ScanStatus:
        """Ask TikTok, unless that was done a moment ago or is done with."""
        said, seen = build_scan_key(state), f"{build_scan_key(state)}:seen"
        sealed = await self._store.read_many([said, seen])
        answer = read_record(self._keyring, said, sealed[0], KeptScan)
        if answer is not None:
            return answer.scan.status
        last = read_record(self._keyring, seen, sealed[1], KeptScan)
        before = last.scan.status if last is not None else ScanStatus.NEW
        if before.is_final or not await self._store.acquire_lease(
            f"lease:{said}", secrets.token_hex(8), int(PAUSE.total_seconds() * 1000)
        ):
            return before
        try:
            scan = await self._provider.check_qr_code(qr.token)
        except ProviderUnavailable as error:
            log.info("qr_code_not_checked", reason=str(error), code=error.code)
            return before
        # under a key of its own, so that no slower answer takes the place of the one that has the code, or the no
        await self._keep(said if scan.status in _SAID else seen, scan)
        return scan.status

    async def _keep(self, key: str, scan: Scan) -> None:
        sealed = seal_record(self._keyring, key, KeptScan(scan=scan))
        await self._store.write(key, sealed, int(QR_LASTS.total_seconds()))

    async def _take_scan(self, state: str) -> Scan:
        key = build_scan_key(state)
        kept = read_record(self._keyring, key, await self._store.take(key), KeptScan)
        if kept is None:
            raise AttemptUnknown("TikTok has not confirmed this QR code")
        if kept.scan.status is ScanStatus.REFUSED:
            raise AccessDenied("the person did not allow the sign-in, on their phone")
        return kept.scan
