"""The types of what must never be shown (redaction).

A key whose type holds pydantic's `SecretStr` is a secret, and by that alone: no message quotes it, `check` says when it
stands in the file in the clear. Stray bytes, which editors, `echo` and clipboards leave behind, are told here, by their
kind: the provider or Redis would only say that the secret is wrong.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr

SHORTEST_KEY: Final = 32


def check_word(text: str) -> str:
    """Return a text without white space. Raises `ValueError` that names the kind of a stray character, and no value."""
    check_text(text)
    if any(each.isspace() for each in text):
        raise ValueError("has white space within it: copy it again")
    if not text.isascii():
        raise ValueError("has a character beyond ASCII: copy it again")
    return text


def check_text(text: str) -> str:
    """As `check_word`, but a space within it, or a letter of any alphabet, may be meant."""
    if text != text.strip():
        raise ValueError("begins or ends with white space: take it away; ${file:…} does so by itself")
    if not text.isprintable():
        raise ValueError("has a control or an invisible character in it: copy it again")
    return text


def _check_token(secret: SecretStr) -> SecretStr:
    check_word(secret.get_secret_value())
    return secret


def _check_password(secret: SecretStr) -> SecretStr:
    check_text(secret.get_secret_value())
    return secret


def _check_length(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"is shorter than {SHORTEST_KEY} characters: make one with `gateway keys new`")
    return key


Word = Annotated[str, AfterValidator(check_word)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
"""A secret that somebody's machine made: visible ASCII."""
StrongKey = Annotated[Token, AfterValidator(_check_length)]
Password = Annotated[SecretStr, AfterValidator(_check_password)]
