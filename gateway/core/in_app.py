"""Browsers inside other apps (in-app browser, web view), told by their user agents.

They keep cookies apart from the system's browser, forget them when closed, or open the provider's own app, which then
comes back in another browser. Nothing depends on this but the advice that people are given.
"""

from __future__ import annotations

import re
from typing import Final

APPS: Final = (
    ("TikTok", r"musical_ly|BytedanceWebview|ByteLocale|trill_|TikTok"),
    ("Instagram", r"Instagram"),
    ("Messenger", r"MessengerForiOS|Orca-Android"),
    ("Facebook", r"\bFBA[NV]/|\bFB_IAB/|\bFBIOS\b"),
    ("Threads", r"\bBarcelona "),
    ("Snapchat", r"Snapchat"),
    ("LinkedIn", r"LinkedInApp"),
    ("LINE", r"\bLine/\d"),
    ("WeChat", r"MicroMessenger"),
)


def find_app(user_agent: str) -> str | None:
    """Return the name of the app that a browser lives in; None for a browser of its own."""
    return next((name for name, mark in APPS if re.search(mark, user_agent)), None)
