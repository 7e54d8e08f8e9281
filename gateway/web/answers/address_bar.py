"""Takes TikTok's answer out of the browser where a sign-in fails.

A callback that succeeds is a redirect, which no history keeps. One that fails shows a page, and its address has the
authorization code (perhaps still good) and the state: a script of one line takes them off. The status stays what it is,
and without scripts the page is the same.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.web.answers.answer import Answer

SCRIPT: Final = "static/forget.js"


def forget_query(answer: Answer, site: str, prefix: str) -> Answer:
    """Return a page that takes the query off its own address; what is no page stays as it is.

    `site` is the host of `public_url`, and the script its only one (CSP 3 §2.3.1).
    """
    if not any(name == b"content-type" and value.startswith(b"text/html") for name, value in answer.headers):
        return answer
    headers = tuple(
        (name, value + f"; script-src {site}{prefix}/{SCRIPT}".encode())
        if name == b"content-security-policy"
        else (name, value)
        for name, value in answer.headers
    )
    tag = f'<script src="{prefix}/{SCRIPT}" defer></script>\n</head>'.encode()
    return msgspec.structs.replace(answer, headers=headers, body=answer.body.replace(b"</head>", tag, 1))
