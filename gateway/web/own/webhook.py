"""`POST {prefix}/webhook`: TikTok's own way in. It has no session, no cookie and no page."""

from __future__ import annotations

from starlette.requests import Request

from gateway.core.fields import every
from gateway.errors import ContentTooLarge, NoSuchPage
from gateway.flows.webhook import Webhook
from gateway.web.answers.answer import Answer, text_answer
from gateway.web.asgi_head import head_of
from gateway.web.body_limit import MAX_OWN_BODY, read_from
from gateway.web.table import Table


class WebhookPage:
    """The handler; without a flow there is no such page."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    @property
    def table(self) -> Table:
        """Where it is."""
        return {"/webhook": {"POST": self.take}}

    async def take(self, request: Request) -> Answer:
        """Take one delivery."""
        if self._webhook is None:
            raise NoSuchPage("webhooks are off: see `tiktok.webhook`")
        body = await read_from(request.receive)(MAX_OWN_BODY)
        if body is None:
            raise ContentTooLarge(f"a webhook of more than {MAX_OWN_BODY} bytes")
        signatures = every(head_of(request).headers, b"tiktok-signature")
        await self._webhook.take(signatures[0].decode("latin-1") if len(signatures) == 1 else "", body)
        return text_answer(200, "ok\n")
