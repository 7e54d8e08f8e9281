"""TikTok's ownership files (domain verification): each at its exact path, for everybody, and nothing else there."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gateway.web.answers.answer import Answer, text_answer
from gateway.web.table import Handler, Table


def build_table(files: Mapping[str, str]) -> Table:
    """Return who answers for each path."""
    return {path: {"GET": _serve(content)} for path, content in files.items()}


def _serve(content: str) -> Handler:
    async def answer(request: Request) -> Answer:
        return text_answer(200, content)

    return answer
