"""Who asks for a page of the gateway's own, for the audit trail. Checks of fronts are not among these pages."""

from __future__ import annotations

from starlette.requests import Request

from gateway.core.audit import Asker, Who
from gateway.core.user_agent import describe_user_agent
from gateway.flows.audit import asked_by
from gateway.web.answers.answer import Answer
from gateway.web.asgi_head import head_of
from gateway.web.exchange import request_id_of
from gateway.web.table import Handler

_LOOKED_AT = 256  # characters of a User-Agent


def in_their_name(handler: Handler) -> Handler:
    """Return the handler, which announces what happens in the name of who asks."""

    async def answer(request: Request) -> Answer:
        head = head_of(request)
        asker = Asker(
            who=Who.PERSON,
            client=head.client_address,
            agent=describe_user_agent(request.headers.get("user-agent", "")[:_LOOKED_AT]),
            request_id=request_id_of(request),
        )
        with asked_by(asker):
            return await handler(request)

    return answer
