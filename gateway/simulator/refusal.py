"""What an app got wrong: said as TikTok says it, and, which TikTok does not, what would be right."""

from __future__ import annotations

from starlette.requests import Request


class Refused(Exception):
    """The authorization request is wrong; the text and the hint are for the app's developer."""

    def __init__(self, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.hint = hint


class OAuthError(Exception):
    """An error of the OAuth endpoints: `error` and `error_description`, and a hint for the app's developer."""

    def __init__(self, error: str, description: str, hint: str = "") -> None:
        super().__init__(description)
        self.error = error
        self.hint = hint


def note(request: Request, words: str) -> None:
    """Have something said of this request in the list of requests, and on the console."""
    request.state.notes = (*read_notes(request), words)


def note_error(request: Request, error: str, hint: str) -> None:
    """Have it said there that a request was answered with an error, and what would have been right."""
    request.state.error = error
    if hint:
        note(request, hint)


def read_notes(request: Request) -> tuple[str, ...]:
    """Return what was noted of a request."""
    notes: tuple[str, ...] = getattr(request.state, "notes", ())
    return notes


def read_error(request: Request) -> str:
    """Return the error that a request was answered with; "" for none."""
    error: str = getattr(request.state, "error", "")
    return error


def show(value: str | None) -> str:
    """Return what came, as part of a sentence; of long values the beginning."""
    if value is None:
        return "nothing"
    return repr(value if len(value) <= 80 else f"{value[:77]}...")
