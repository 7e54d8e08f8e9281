"""Pages about people: their sessions and grants, and the buttons that end them.

What cannot be undone asks first: the form comes back with `sure`, from a page that says what it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from gateway.errors import MalformedRequest
from gateway.flows.listing import MOST, GrantPage, Listing
from gateway.flows.oversight import Oversight
from gateway.flows.webhook_log import mark_person
from gateway.web.admin.acts import Acts
from gateway.web.admin.door import Operator
from gateway.web.admin.frame import Act, Frame
from gateway.web.admin.notice import read_notice, tell_done
from gateway.web.admin.views import ROOT
from gateway.web.answers.answer import Answer, redirect
from gateway.web.table import Table

PER_PAGE: Final = 50
_LOOKS: Final = 5
"""Most pages of grants that are searched for a name at a time."""


class People:
    """Handlers of the pages."""

    def __init__(self, frame: Frame, oversight: Oversight, listing: Listing) -> None:
        self._frame = frame
        self._oversight = oversight
        self._listing = listing
        self._acts = Acts(oversight)

    @property
    def table(self) -> Table:
        """Where they are. What changes anything is POST only."""
        frame = self._frame
        return {
            "/sessions": {"GET": frame.inside(self.sessions)},
            "/grants": {"GET": frame.inside(self.grants)},
            "/person": {"GET": frame.inside(self.person)},
            "/end_session": {"POST": frame.act(self.end_session)},
            "/end_sessions": {"POST": frame.act(self._asking("end_sessions", self.end_sessions))},
            "/end_grant": {"POST": frame.act(self._asking("end_grant", self.end_grant))},
            "/erase": {"POST": frame.act(self._asking("erase", self.erase))},
        }

    async def sessions(self, request: Request, operator: Operator) -> Answer:
        """Who is signed in, where."""
        unreadable: set[str] = set()
        cursor = request.query_params.get("cursor", "")
        page = await self._listing.sessions(cursor, PER_PAGE, unreadable=unreadable)
        return self._frame.show(
            operator,
            "sessions.html",
            here="/sessions",
            notice=read_notice(operator.session, request),
            sessions=sorted(page.sessions, key=lambda each: each.last_seen_at, reverse=True),
            next=page.next,
            first=not cursor,
            unreadable=len(unreadable),
        )

    async def grants(self, request: Request, operator: Operator) -> Answer:
        """Who has granted what, and how long it lasts; of everybody, or of who is called so."""
        unreadable: set[str] = set()
        cursor, who = request.query_params.get("cursor", ""), request.query_params.get("who", "").strip()
        page = await self._find(cursor, who, unreadable)
        return self._frame.show(
            operator,
            "grants.html",
            here="/grants",
            notice=read_notice(operator.session, request),
            grants=sorted(page.grants, key=lambda each: each.refresh_expires_at),
            next=page.next,
            first=not cursor,
            sought=who,
            unreadable=len(unreadable),
        )

    async def _find(self, cursor: str, who: str, unreadable: set[str]) -> GrantPage:
        """Return a page of grants: of all, of an open_id, or of whose name begins so."""
        if not who:
            return await self._listing.grants(cursor, PER_PAGE, unreadable=unreadable)
        if not cursor and (named := await self._oversight.find_grant(who)) is not None:
            return GrantPage((named,))
        for _ in range(_LOOKS):
            page = await self._listing.grants(cursor, MOST, name=who, unreadable=unreadable)
            if page.grants or page.next is None:
                break
            cursor = page.next
        return page

    async def person(self, request: Request, operator: Operator) -> Answer:
        """All of one person."""
        unreadable: set[str] = set()
        subject = request.query_params.get("open_id", "").strip()
        if not subject:
            return redirect(303, f"{ROOT}/sessions")
        page = await self._listing.sessions(
            request.query_params.get("cursor", ""), PER_PAGE, subject=subject, unreadable=unreadable
        )
        return self._frame.show(
            operator,
            "person.html",
            here="/sessions",
            notice=read_notice(operator.session, request),
            open_id=subject,
            mark=mark_person(subject),
            grant=await self._oversight.find_grant(subject),
            sessions=page.sessions,
            next=page.next,
            unreadable=len(unreadable),
        )

    async def end_session(self, form: dict[str, str], operator: Operator) -> Answer:
        """End one session."""
        subject = _subject(form)
        ended = await self._acts.end_session(operator.who, form.get("session_id", ""), subject)
        to = f"{ROOT}/sessions?" if form.get("back") == "sessions" else _person(subject)
        return tell_done(operator.session, to, "session" if ended else "gone")

    async def end_sessions(self, subject: str, who: str) -> str:
        """End all sessions of a person."""
        return "sessions" if await self._acts.end_sessions(who, subject) else "gone"

    async def end_grant(self, subject: str, who: str) -> str:
        """End a person's grant, here and at TikTok."""
        return "grant" if await self._acts.end_grant(who, subject) else "gone"

    async def erase(self, subject: str, who: str) -> str:
        """Erase everything that is known of a person."""
        erased = await self._acts.erase(who, subject)
        return "nobody" if erased.was_nobody else "erasing" if erased.pending else "erased"

    def _asking(self, act: str, done: Callable[[str, str], Awaitable[str]]) -> Act:
        """Return what asks first, and then does it to a person, in the name of `who`; `done` returns what was done."""

        async def answer(form: dict[str, str], operator: Operator) -> Answer:
            subject = _subject(form)
            if "sure" not in form:
                grant = await self._oversight.find_grant(subject)
                return self._frame.show(operator, "sure.html", here="/sessions", open_id=subject, act=act, grant=grant)
            return tell_done(operator.session, _person(subject), await done(subject, operator.who))

        return answer


def _subject(form: dict[str, str]) -> str:
    subject = form.get("open_id", "")
    if not subject:
        raise MalformedRequest("the form names nobody: open_id is missing")
    return subject


def _person(subject: str) -> str:
    return f"{ROOT}/person?open_id={quote(subject, safe='')}&"
