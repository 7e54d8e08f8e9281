"""Text for a terminal or a log: what would move a cursor, colour a line or turn it round is written as an escape."""

from __future__ import annotations


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Return `text` with control and bidi characters as `\x1b` or `\u202e`, but for those in `keep`.

    "Printable" is Unicode's word for it as Python has it: no controls (Cc), no formats such as bidi marks (Cf), no
    separators but the plain space, no half surrogate pairs.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
