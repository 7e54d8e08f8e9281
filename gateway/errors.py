"""Everything that can go wrong, as one tree.

    GatewayError
    ├── SettingsError                 the operator's file or environment; the program does not start
    │   └── StartError                an address is taken, or Redis does not answer
    ├── RequestRefused                blame: client
    │   ├── MalformedRequest          400
    │   ├── MethodRefused             405
    │   ├── ContentTooLarge           413
    │   ├── TargetTooLong             414
    │   ├── HeadersTooLarge           431
    │   ├── TooManyAttempts           429
    │   ├── WebhookRefused            403   it is not TikTok's, or too old
    │   ├── CheckRefused              403   forward-auth: what is asked about cannot be told, or is not to pass
    │   │   └── CheckMisconfigured    403   blame: operator; the front does not ask as it should
    │   ├── CrossSite                 403   another site made the browser send it
    │   └── DestinationElsewhere      502   WebDAV: to be copied or moved to another server (RFC 4918 §9.8.5)
    ├── Forbidden                     403   a route denies, or none matches
    │   ├── FactRefused               403   a fact about the creator is not as a route asks
    │   └── InsufficientScope         403   a scope is missing, of a person's or of a client's
    ├── NoSuchSession                 404   no live session has that id
    ├── NoSuchGrant                   404   nobody has signed in under that open_id
    ├── TooManyTokens                 429   a client of the admin listener asks too often
    ├── Unauthenticated               401   the admin listener wants a key
    ├── NoSuchPage                    404   the gateway has no such page of its own
    ├── PostGone                      404   a kept form was shown already, or has expired
    ├── NothingHere                   404   no app stands behind this gateway
    ├── SignInRefused                 blame: client; the callback does not belong to a sign-in of this browser
    │   ├── AttemptUnknown            400   expired, used, tampered or never begun
    │   ├── AttemptOfOtherBrowser     400
    │   ├── AttemptWithoutCookie      400   the cookie that binds it to the browser did not come back
    │   ├── AccessDenied              403   the person said no at TikTok
    │   │   └── ScopeRefused                to more than before, and stays signed in
    │   └── SignInLoop                      completed, and begun again at once, several times; by likely cause
    │       ├── SessionCookieLost     400
    │       ├── SignInOfOtherHost     400
    │       ├── SessionNotKept        500   blame: operator
    │       └── AppSendsBack          502   blame: upstream
    ├── SignInsBusy                   503   too many sign-ins at once
    ├── StoreUnavailable              503   blame: gateway; never to be read as "signed out"
    │   └── StoreRefused              503   blame: operator; wrong password, or a right is missing
    ├── SessionEnded                  401   while the request was under way
    ├── NotSignedIn                   401   an app in this process asked who is
    ├── SessionsDiffer                401   the session cookie came twice, for two live sessions
    ├── DeviceProofMissing            401   the session is bound to a device, which has not proved that it asks
    ├── DeviceProofRefused            403   what should prove it does not
    ├── SealBroken                    401   blame: client; a record or cookie that no key opens
    │   └── OfAnotherInstance         401   a record of another gateway on the same Redis
    ├── RecordsUnreadable             409   blame: operator; records that no key opens are in the way
    ├── ProviderError                 blame: provider
    │   ├── ProviderUnavailable       503   passing: keep everything, try again later
    │   ├── ProviderMisconfigured     500   key, secret or request wrong: the operator must act, tokens stay
    │   ├── GrantDead                 401   invalid_grant: the refresh token is dead
    │   │   └── CodeRefused           400   invalid_grant: the code is dead, so nobody was signed in by it
    │   ├── AccessTokenDead           401   the API no longer accepts the access token
    │   └── ScopeMissing              403   the grant lacks a scope; never a reason to refresh
    └── UpstreamError                 blame: upstream
        ├── UpstreamUnreachable       502
        ├── UpstreamBroken            502   it answered, but not in HTTP, or not to the end
        └── UpstreamTimeout           504

Every error has a `code` from this fixed list, which pages, problems, logs and metrics carry; a `status`; and a
`blame`, from which log level and metric label follow. The message (`str(error)`) is for the operator's log and is
never shown to a visitor, who reads `title` and `advice` only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Blame(StrEnum):
    """Whose fault an error is."""

    CLIENT = "client"
    PROVIDER = "provider"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"
    OPERATOR = "operator"


class GatewayError(Exception):
    """Root of every error that the gateway raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    blame: ClassVar[Blame] = Blame.GATEWAY
    title: ClassVar[str] = "Something went wrong"
    advice: ClassVar[str] = "Please try again in a moment."
    retry_after: int | None = None  # seconds, for the Retry-After header
    keeps_session: ClassVar[bool] = False  # whoever was signed in before still is
    return_to: str | None = None  # where the person wanted to go: a checked address, for a link


def forget_frames(error: GatewayError) -> GatewayError:
    """Let an error that is kept lead to no frame any more, where whole requests lie; returns it."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


class SettingsError(GatewayError):
    """The settings cannot be used; the message lists every problem and how to mend it."""

    code = "settings_invalid"
    blame = Blame.OPERATOR


class StartError(SettingsError):
    """The gateway cannot start; the message says what to change."""

    code = "cannot_start"


class RequestRefused(GatewayError):
    """The request cannot be understood in exactly one way, or goes beyond a limit."""

    code = "malformed_request"
    status = 400
    blame = Blame.CLIENT
    title = "This request cannot be understood"
    advice = "Check the address and try again."


class MalformedRequest(RequestRefused):
    """Ambiguous or malformed target, header or framing (RFC 9110, RFC 9112)."""


class MethodRefused(RequestRefused):
    """CONNECT, TRACE, or a method that this address does not take."""

    code = "method_not_allowed"
    status = 405
    title = "This method is not allowed here"

    def __init__(self, message: str, *, allowed: tuple[str, ...] = _METHODS) -> None:
        super().__init__(message)
        self.allowed = allowed


class ContentTooLarge(RequestRefused):
    """The request body is larger than the limit (RFC 9110 §15.5.14)."""

    code = "content_too_large"
    status = 413
    title = "This is too large to be sent"
    advice = "Send something smaller."


class TargetTooLong(RequestRefused):
    """The request target is longer than the limit."""

    code = "target_too_long"
    status = 414
    title = "This address is too long"


class HeadersTooLarge(RequestRefused):
    """Too many header fields, or too many bytes of them (RFC 6585 §5)."""

    code = "headers_too_large"
    status = 431
    title = "The request headers are too large"
    advice = "Clear the cookies of this site and try again."


class TooManyAttempts(RequestRefused):
    """One address began more sign-ins than the limit allows."""

    code = "too_many_attempts"
    status = 429
    title = "Too many sign-ins from your address"
    advice = "Wait a minute, then try again."
    retry_after = 60


class WebhookRefused(RequestRefused):
    """A webhook that is not signed by TikTok for this app, or too old."""

    code = "webhook_refused"
    status = 403
    title = "This is no webhook for this app"
    advice = "Only TikTok sends webhooks here."


class CheckRefused(RequestRefused):
    """A front's check that no visitor's identity could answer with yes."""

    code = "check_refused"
    status = 403


class CheckMisconfigured(CheckRefused):
    """A front does not ask as it must; the message says what to set there."""

    code = "check_misconfigured"
    blame = Blame.OPERATOR
    title = "This site is not set up correctly"
    advice = "Please try again later, or tell whoever runs it."


class CrossSite(RequestRefused):
    """A request that acts for the person came from another site."""

    code = "cross_site"
    status = 403
    title = "This request came from another site"
    advice = "Open this site itself and try again."


class DestinationElsewhere(RequestRefused):
    """A `Destination` that another server, or another app behind this gateway, would have to take (RFC 4918 §9.8.5)."""

    code = "destination_elsewhere"
    status = 502
    title = "This cannot be copied or moved there"
    advice = "Choose a destination within the same app."


class Forbidden(GatewayError):
    """A route denies this, or no route matches it."""

    code = "forbidden"
    status = 403
    blame = Blame.CLIENT
    title = "You may not go there"
    advice = "If you think you should, ask the people who run this site."


class FactRefused(Forbidden):
    """A fact about the creator is not as a route asks for. `fact` is its name."""

    title = "This part is not open to your TikTok account"

    def __init__(self, message: str, *, fact: str = "") -> None:
        super().__init__(message)
        self.fact = fact


class InsufficientScope(Forbidden):
    """A scope is missing. `missing` names them."""

    code = "insufficient_scope"
    title = "A permission is missing"
    advice = "Sign in again and allow what is asked."

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(sorted(missing))


class NoSuchSession(GatewayError):
    """No live session has that public id."""

    code = "no_such_session"
    status = 404
    blame = Blame.CLIENT
    title = "There is no such session"
    advice = "It may have ended. List them to see which there are."


class NoSuchGrant(GatewayError):
    """Nobody has signed in under that open_id, or the grant is over."""

    code = "no_such_grant"
    status = 404
    blame = Blame.CLIENT
    title = "There is no such grant"
    advice = "The person has to sign in; see `tokens.keep_grants` for jobs that run when nobody is signed in."


class TooManyTokens(GatewayError):
    """A client of the admin listener asks for tokens too often."""

    code = "too_many_tokens"
    status = 429
    blame = Blame.CLIENT
    title = "Too many tokens in a minute"
    advice = "Keep a token until it expires."
    retry_after = 60


class Unauthenticated(GatewayError):
    """The admin listener wants a key that it knows."""

    code = "unauthenticated"
    status = 401
    blame = Blame.CLIENT
    title = "A key is needed"
    advice = "Send it as `Authorization: Bearer KEY`: one of `admin.keys`, or that of one of `tokens.clients`."


class NoSuchPage(GatewayError):
    """The prefix has no such page."""

    code = "not_found"
    status = 404
    blame = Blame.CLIENT
    title = "There is no such page"
    advice = "Check the address."


class PostGone(GatewayError):
    """A form that was kept for after the sign-in is no longer there, or belongs to another browser."""

    code = "post_gone"
    status = 404
    blame = Blame.CLIENT
    title = "What you sent is no longer kept"
    advice = "It was not delivered. Go back to the form and send it again."


class NothingHere(GatewayError):
    """There is no app behind this gateway: it only answers forward-auth."""

    code = "nothing_here"
    status = 404
    blame = Blame.OPERATOR
    title = "There is nothing here"
    advice = "This gateway only answers a front proxy. Set `upstream` to put it before an app."


class SignInRefused(GatewayError):
    """A callback that does not complete a sign-in attempt of this browser."""

    code = "sign_in_refused"
    status = 400
    blame = Blame.CLIENT
    title = "This sign-in cannot be completed"
    advice = "Start the sign-in again."


class AttemptUnknown(SignInRefused):
    """The state is expired, used, tampered with or was never begun."""

    code = "sign_in_expired"
    title = "This sign-in has expired or was already used"


class AttemptOfOtherBrowser(SignInRefused):
    """The state is real, but another browser began it."""

    code = "sign_in_other_browser"
    title = "This sign-in was begun in another browser"
    advice = "Start the sign-in again in this browser, and allow cookies for this site."


class AccessDenied(SignInRefused):
    """The person said no on TikTok's consent page."""

    code = "access_denied"
    status = 403
    title = "You did not allow the sign-in"
    advice = "Nothing was shared. You can start again whenever you like."


class ScopeRefused(AccessDenied):
    """The person, who is signed in, said no to more scopes; `refused` names them."""

    code = "permission_refused"
    title = "You did not share any more"
    advice = "You are still signed in, and everything else goes on as before."

    def __init__(self, message: str, *, refused: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.refused = refused


class AttemptWithoutCookie(SignInRefused):
    """The state is real, but no cookie came: blocked, or set for another host or scheme than the callback's."""

    code = "sign_in_cookie_missing"
    title = "Your browser did not keep this site's cookie"
    advice = "Signing in needs one cookie. Allow cookies for this site, then start the sign-in again."


class SignInLoop(SignInRefused):
    """Sign-ins are completed and begun again at once; the subclasses name the likely cause."""

    code = "sign_in_loop"


class SessionCookieLost(SignInLoop):
    """The session cookie does not come back."""

    code = "session_cookie_lost"
    title = "You signed in, but your browser did not keep it"
    advice = (
        "The cookie that remembers you did not come back. Allow cookies for this site, wait a minute and try again."
    )


class SignInOfOtherHost(SignInLoop):
    """Sign-ins return to a host that the session cookie is not for."""

    code = "sign_in_other_host"
    title = "You are signed in at another address of this site"
    advice = "Your sign-in holds at the address above only. If you need another one, tell the people who run this site."


class SessionNotKept(SignInLoop):
    """The session cookie comes back, but names no live session."""

    code = "session_not_kept"
    status = 500
    blame = Blame.OPERATOR
    title = "This site forgets your sign-in at once"
    advice = (
        "Its servers do not share their sessions, or their clocks differ. Please tell the people who run this site."
    )


class AppSendsBack(SignInLoop):
    """The session is live, but the app begins a sign-in."""

    code = "app_sends_back"
    status = 502
    blame = Blame.UPSTREAM
    title = "You are signed in, but the app keeps asking you to"
    advice = "The app does not see that you are signed in. Please tell the people who run this site."


class SignInsBusy(GatewayError):
    """More sign-ins begin than the limit for all together allows."""

    code = "sign_ins_busy"
    status = 503
    blame = Blame.CLIENT
    title = "Very many people are signing in"
    advice = "Please try again in a minute."
    retry_after = 60


class StoreUnavailable(GatewayError):
    """Redis did not answer in time, or not as it should. Nobody is signed out by this."""

    code = "store_unavailable"
    status = 503
    title = "The service is briefly unavailable"
    advice = "Please try again in a few seconds."
    retry_after = 5
    keeps_session = True


class StoreRefused(StoreUnavailable):
    """Redis refuses the user, the password or a command: it will not mend by itself."""

    code = "store_refused"
    blame = Blame.OPERATOR


class SessionEnded(GatewayError):
    """The session ended while the request was under way."""

    code = "session_ended"
    status = 401
    blame = Blame.CLIENT
    title = "You have been signed out"
    advice = "Please sign in again."


class NotSignedIn(GatewayError):
    """The app in this process asked who is signed in, and nobody is."""

    code = "not_signed_in"
    status = 401
    blame = Blame.CLIENT
    title = "Sign in first"
    advice = "Please sign in."


class SessionsDiffer(GatewayError):
    """The session cookie came several times, and it cannot be told which of two live sessions is meant."""

    code = "sessions_differ"
    status = 401
    blame = Blame.CLIENT
    title = "You are signed in twice in this browser"
    advice = (
        "Your browser sends two cookies of the same name for this site, and they belong to two sign-ins, so it cannot"
        " be told which one counts. Sign in again: that ends both, and leaves one."
    )


class DeviceProofMissing(GatewayError):
    """The session is bound to a device, and nothing shows that the request comes from there."""

    code = "device_proof_missing"
    status = 401
    blame = Blame.CLIENT
    retry_after = 15
    """Chromium may be out of signatures for at most nine minutes; 0 where it only could not hold a navigation back."""
    keeps_session = True
    title = "Confirming your device"
    advice = (
        "You are signed in on one device, and your browser has not confirmed yet that this is the one. If that does not"
        " change within a minute, sign in again."
    )


class DeviceProofRefused(GatewayError):
    """What a browser has signed to bind itself, or to prove that it still holds its key, does not do."""

    code = "device_proof_refused"
    status = 403
    blame = Blame.CLIENT


class SealBroken(GatewayError):
    """A sealed value was opened by none of the keys: altered, swapped, or sealed by a key that is gone."""

    code = "seal_broken"
    status = 401
    blame = Blame.CLIENT


class OfAnotherInstance(SealBroken):
    """A record that our keys open, but that another gateway on the same Redis has written for itself."""


class RecordsUnreadable(GatewayError):
    """An operator's command would have to guess: records that it is about are opened by none of the keys."""

    code = "records_unreadable"
    status = 409
    blame = Blame.OPERATOR
    title = "There are records that cannot be opened"
    advice = "Use the `secret_keys` that the gateway has. Nothing was changed."


class ProviderError(GatewayError):
    """TikTok refused, or could not be understood.

    `log_id` is TikTok's own reference, asked for by its support; it may be empty.
    """

    code = "provider_error"
    status = 502
    blame = Blame.PROVIDER
    title = "TikTok could not complete this"

    def __init__(self, message: str, *, log_id: str = "") -> None:
        super().__init__(f"{message} (log_id {log_id})" if log_id else message)
        self.log_id = log_id


class ProviderUnavailable(ProviderError):
    """A passing fault: timeout, 429, 5xx, HTML, an empty body. Keep everything and try again later."""

    code = "provider_unavailable"
    status = 503
    title = "TikTok is not answering"
    advice = "Please try again in a few seconds."
    retry_after = 5
    keeps_session = True


class ProviderMisconfigured(ProviderError):
    """TikTok refuses the client key, the secret or the request itself: the operator must act."""

    code = "provider_misconfigured"
    status = 500
    title = "Sign-in with TikTok is not set up correctly"
    advice = "Please tell the people who run this site."


class GrantDead(ProviderError):
    """The refresh token is dead (`invalid_grant`): sign in again."""

    code = "grant_dead"
    status = 401
    title = "Your TikTok sign-in has ended"
    advice = "Please sign in again."


class CodeRefused(GrantDead):
    """The authorization code is dead (`invalid_grant`)."""

    code = "code_refused"
    status = 400
    title = "TikTok did not complete this sign-in"
    advice = "It may have taken too long. Start the sign-in again."


class AccessTokenDead(ProviderError):
    """TikTok's API answers 401 `access_token_invalid`: refresh once, then sign in again."""

    code = "access_token_dead"
    status = 401
    title = "Your TikTok sign-in has ended"
    advice = "Please sign in again."


class ScopeMissing(ProviderError):
    """TikTok's API answers 401 `scope_not_authorized`: ask for consent, never refresh for it."""

    code = "scope_missing"
    status = 403
    title = "A permission is missing"
    advice = "Sign in again and allow what is asked."


class UpstreamError(GatewayError):
    """The app behind the gateway failed."""

    code = "upstream_error"
    status = 502
    blame = Blame.UPSTREAM
    title = "The app is not answering"
    advice = "Please try again in a moment."
    keeps_session = True


class UpstreamUnreachable(UpstreamError):
    """No connection to the upstream could be made, or it was closed before an answer."""

    code = "upstream_unreachable"
    retry_after = 5


class UpstreamBroken(UpstreamError):
    """The upstream's answer is not HTTP, is ambiguous, or ended too early."""

    code = "upstream_broken"


class UpstreamTimeout(UpstreamError):
    """The upstream did not connect or answer within its timeout."""

    code = "upstream_timeout"
    status = 504
    title = "The app took too long to answer"
