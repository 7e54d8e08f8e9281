"""Reads form bodies."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

Form = dict[str, list[str]]


async def read_form(request: Request) -> Form:
    """Return every value of every field of an `application/x-www-form-urlencoded` body."""
    body = await request.body()
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
