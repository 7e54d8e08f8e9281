"""What keys there are, and which of them hold secrets: asked of the model, where the type of a key says so.

A pattern is the path of a key with `*` for a place in a list and for a name that the operator chose, as in `upstreams`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr

from gateway.settings.listening import ManyWays
from gateway.settings.model import Settings
from gateway.settings.yaml_file import KeyPath

Pattern = tuple[str, ...]

SHORT: Final = "url"
"""The key of a section that a lone text in place of the section stands for: `redis: redis://…` is `redis.url`."""


@cache
def every_key() -> dict[Pattern, bool]:
    """Return all keys, sections too, and whether each is a secret."""
    return dict(_walk(Settings, ()))


def keys_at(path: KeyPath) -> list[str]:
    """Return the keys of the mapping at a path; none where names are the operator's."""
    pattern = _to_pattern(path)
    return [key[-1] for key in every_key() if key[:-1] == pattern and key[-1] != "*"]


def is_known(path: KeyPath) -> bool:
    """Whether there is such a key."""
    return _to_pattern(path) is not None


def secret_in(path: KeyPath) -> KeyPath | None:
    """Return the part of a path that leads to a secret, so that what stands under it is one; None when nothing does."""
    return next((path[:end] for end in range(1, len(path) + 1) if _is_secret(path[:end], path[: end + 1])), None)


def is_beside_secret(path: KeyPath) -> bool:
    """Whether it is a key of its own that is no secret, where a secret may stand in place of its section."""
    pattern, secret = _to_pattern(path), secret_in(path)
    return pattern is not None and secret not in {None, path} and not every_key()[pattern]


def _is_secret(path: KeyPath, longer: KeyPath) -> bool:
    """Whether a secret stands at `path`; what is `longer`, and no key, may be a secret that was taken for a key."""
    pattern = _to_pattern(path)
    if pattern is None:
        return False
    in_short = every_key().get((*pattern, SHORT), False)
    return every_key()[pattern] or (in_short and (longer == path or not is_known(longer)))


def _to_pattern(path: KeyPath) -> Pattern | None:
    """Return the pattern of a path; None for one that no key has."""
    pattern: Pattern = ()
    for part in path:
        named = (*pattern, str(part))
        pattern = named if isinstance(part, str) and named in every_key() else (*pattern, "*")
        if pattern not in every_key():
            return None
    return pattern


def _walk(model: type[BaseModel], path: Pattern) -> Iterator[tuple[Pattern, bool]]:
    for name, field in model.model_fields.items():
        yield from _look(field.annotation, (*path, name))
        if any(isinstance(note, ManyWays) and note.many for note in field.metadata):  # one may stand without a list
            yield from _look(get_args(field.annotation)[0], (*path, name))


def _look(annotation: Any, path: Pattern) -> Iterator[tuple[Pattern, bool]]:
    yield path, _holds_secret(annotation)
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield from _walk(part, path)
        elif get_origin(part) in {tuple, dict}:
            item = get_args(part)[0 if get_origin(part) is tuple else 1]
            yield from _look(item, (*path, "*"))


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation says besides pydantic's notes; of `X | None`, X and None."""
    if isinstance(annotation, type) or get_origin(annotation) in {tuple, dict}:
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _alternatives(part)


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))
