"""The page `kept_post`: what was sent before the sign-in, with a button that sends it again.

The page's policy lets the form go to this site only. Chromium applies that to redirects too (CSP 3 §6.4.2), so an app
that answers such a form by a redirect to another origin is better left without `keep_post`.
"""

from __future__ import annotations

from starlette.requests import Request

from gateway.core.challenge import is_navigation
from gateway.errors import PostGone
from gateway.flows.authentication import Authentication
from gateway.flows.kept_posts import KeptPosts
from gateway.web.answers.answer import Answer, page
from gateway.web.answers.answers import Answers
from gateway.web.answers.views import PersonName
from gateway.web.asgi_head import head_of
from gateway.web.exchange import request_id_of
from gateway.web.own.home import at_home
from gateway.web.table import Table


class KeptPostPages:
    """Handlers of forms that were kept."""

    def __init__(self, *, answers: Answers, authentication: Authentication, kept_posts: KeptPosts) -> None:
        self._answers = answers
        self._authentication = authentication
        self._kept_posts = kept_posts

    @property
    def table(self) -> Table:
        """Where they are."""
        return {"/kept_post": {"GET": at_home(self._answers, self.show)}}

    async def show(self, request: Request) -> Answer:
        """Show the button, once. Raises `PostGone`."""
        head = head_of(request)
        if not is_navigation(head):
            return self._answers.ask_to_sign_in(head, request_id_of(request))
        signed_in = await self._authentication.peek(head)
        if signed_in is None:
            return await self._answers.begin(head.raw_target.decode("ascii"), head)
        bindings = self._answers.cookies.read_bindings(head)
        ids = request.query_params.getlist("id")
        post = await self._kept_posts.take(ids[0], bindings) if len(ids) == 1 else None
        if post is None:
            raise PostGone("no kept form of this browser has this id: it was shown already, or has expired")
        person = PersonName.of(signed_in.grant.profile)
        action = self._answers.site.public_url + post.target
        shown = self._answers.pages_for(head).kept_post(action, post, person)
        # the app is to see the Origin that it knows, not the `null` of pages without a referrer (Fetch §3.2)
        return page(200, shown, referrer=b"same-origin")
