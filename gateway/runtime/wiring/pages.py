"""The gateway's own pages, and what it answers in place of an app."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from gateway.core.path import canonicalise
from gateway.core.route import Access
from gateway.errors import SettingsError
from gateway.runtime.brand import open_pages
from gateway.runtime.readiness import Readiness
from gateway.runtime.values import Cookies, build_site
from gateway.runtime.wiring.flows import Flows
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.records import Clock, RecordKeeping
from gateway.settings import Settings
from gateway.web.answers.answers import Answers
from gateway.web.answers.site import Site
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.own.account import AccountPages
from gateway.web.own.device import DevicePages
from gateway.web.own.endpoints import Endpoints
from gateway.web.own.for_programs import ForPrograms
from gateway.web.own.kept_post import KeptPostPages
from gateway.web.own.ownership import build_table
from gateway.web.own.qr import QrPages
from gateway.web.own.sign_in import SignInPages
from gateway.web.own.webhook import WebhookPage
from gateway.web.pipeline import Pipeline


@dataclasses.dataclass(frozen=True, slots=True)
class OwnPages:
    """The pages, and the one way of every request to them, to an app or to an answer."""

    pipeline: Pipeline
    forward_auth: ForwardAuth
    endpoints: Endpoints


def build_pages(
    settings: Settings,
    cookies: Cookies,
    records: RecordKeeping,
    judging: Judging,
    flows: Flows,
    readiness: Readiness,
    *,
    clock: Clock,
) -> OwnPages:
    """Make the pages."""
    devices = DevicePages(
        records.device_binding,
        cookies.device,
        read_session_keys=records.authentication.read_session_keys,
        host=urlsplit(settings.public_url).hostname or "",
        prefix=settings.prefix,
        offers=settings.binds_devices,
    )
    answers = _build_answers(settings, cookies, flows, judging, devices)
    authentication, limits = records.authentication, records.limits
    pipeline = Pipeline(judging.gate, answers)
    forward_auth = _build_forward_auth(settings, cookies, records, judging, pipeline, answers)
    endpoints = Endpoints(
        (
            *_build_qr_pages(answers, records, flows),
            SignInPages(
                answers=answers,
                authentication=authentication,
                sign_in=flows.sign_in,
                forward_auth=forward_auth,
                session_limits=limits,
                usual_scopes=tuple(settings.tiktok.scopes),
                scopes=judging.routes.scopes,
            ),
            AccountPages(
                answers=answers,
                authentication=authentication,
                sessions=records.sessions,
                refresh=records.refresh,
                disconnect=flows.disconnect,
                sign_out=flows.sign_out,
                session_limits=limits,
                clock=clock,
            ),
            devices,
            KeptPostPages(answers=answers, authentication=authentication, kept_posts=flows.kept_posts),
            WebhookPage(flows.webhook),
            ForPrograms(
                static=answers.pages.static,
                keys=judging.assertions.keys.public_set() if judging.assertions is not None else None,
                readiness=readiness,
            ),
        ),
        forward_auth=forward_auth,
        answers=answers,
        files=build_table(settings.tiktok.ownership_paths),
    )
    return OwnPages(pipeline=pipeline, forward_auth=forward_auth, endpoints=endpoints)


def _build_qr_pages(answers: Answers, records: RecordKeeping, flows: Flows) -> tuple[QrPages, ...]:
    """Return the page with a code to scan, where the settings ask for it. Raises `SettingsError` without the extra."""
    if flows.qr_sign_in is None:
        return ()
    try:
        from gateway.web.answers.qr_drawing import draw
    except ImportError:
        raise SettingsError("qr_sign_in needs what draws codes: pip install 'tiktok-gateway[qr]'") from None
    return (
        QrPages(
            answers=answers,
            authentication=records.authentication,
            qr_sign_in=flows.qr_sign_in,
            session_limits=records.limits,
            draw=draw,
        ),
    )


def _build_answers(
    settings: Settings, cookies: Cookies, flows: Flows, judging: Judging, devices: DevicePages
) -> Answers:
    site, pages = build_site(settings), open_pages(settings)
    return Answers(
        site=site,
        session_cookie=cookies.session,
        binding_cookie=cookies.binding,
        device_cookie=cookies.device,
        offer_binding=devices.offer,
        sign_in=flows.sign_in,
        kept_posts=flows.kept_posts,
        pages=pages.leading_home() if _is_home_open(site, judging) else pages,
        ask_first=settings.sign_in == "page",
        cors_origins=frozenset(settings.cors.allowed_origins),
        scopes=judging.routes.scopes,
    )


def _is_home_open(site: Site, judging: Judging) -> bool:
    """Whether the app's start page has something to show to whoever is not signed in."""
    match = judging.gate.match("GET", site.host, canonicalise(b"/"))
    return match is not None and match.route.access in {Access.PUBLIC, Access.OPTIONAL}


def _build_forward_auth(
    settings: Settings,
    cookies: Cookies,
    records: RecordKeeping,
    judging: Judging,
    pipeline: Pipeline,
    answers: Answers,
) -> ForwardAuth:
    secret = settings.forward_auth.secret
    return ForwardAuth(
        gate=judging.gate,
        pipeline=pipeline,
        authentication=records.authentication,
        trusted=judging.reader.trusted,
        encoded_slashes=judging.reader.encoded_slashes,
        longest_target=judging.reader.limits.target_bytes,
        answers=answers,
        own_cookies=cookies.own,
        secret=secret.get_secret_value() if secret is not None else None,
        unproven_advice=_advise_unproven(settings),
    )


def _advise_unproven(settings: Settings) -> str:
    """Say what is to be changed where a front asks without proof, on the listener for browsers."""
    asked, provers = ", ".join(map(str, settings.listen)), ", ".join(map(str, settings.forward_auth.listen))
    if provers:
        return (
            f"a front asks at {asked} (`listen`), where anybody may, and is told no identity: "
            f"have it ask at {provers} (`forward_auth.listen`)"
        )
    return (
        f"a front asks at {asked} (`listen`) without proof, and is told no identity: "
        "set forward_auth.listen and have it ask there, or set forward_auth.secret"
    )
