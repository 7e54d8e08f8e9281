"""From the settings of the routes to the policy, and to what the app is told on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.core.identity import IdentityHeaders
from gateway.core.lint import find_faults
from gateway.core.policy import Policy
from gateway.core.requirement import AllowList, Names, Range, Requirement
from gateway.core.route import Access, Route
from gateway.flows.device_proofs import SKIPPED
from gateway.runtime.allow_file import AllowFile
from gateway.settings import Problem, RouteSettings, Settings, place
from gateway.settings.route import AllowSettings, CreatorSettings

_COUNTS = ("follower_count", "following_count", "likes_count", "video_count")
OF_BINDINGS: Final = (SKIPPED, "Secure-Session-Registration", "Secure-Session-Challenge")
"""Fields by which our sessions are bound, or said to be without a proof: no app is told them, and none answers them."""
_MADE: Final = frozenset({"access", "methods", "headers", "encoded_slashes", "allowed_origins"})
"""Keys of a route that are of another type in the policy."""
_SHARED: Final = tuple(
    name for name in Route.__struct_fields__ if name in RouteSettings.model_fields and name not in _MADE
)


@dataclasses.dataclass(frozen=True, slots=True)
class CompiledRoutes:
    """The routes, ready to decide."""

    policy: Policy
    headers: IdentityHeaders
    headers_of_routes: Mapping[int, IdentityHeaders]
    scopes: frozenset[str]  # all that the settings name
    allow_files: tuple[AllowFile, ...]


def compile_routes(settings: Settings, *, in_process: bool = False) -> CompiledRoutes:
    """Compile the routes, for an app `in_process` or upstreams.

    Raises `SettingsError` for an allow-list's file that cannot be used.
    """
    files: list[AllowFile] = []
    routes = [_build_route(settings, route, index, files) for index, route in enumerate(settings.routes)]
    # what one route sets is reserved on all: an app reads it wherever it came from
    everywhere = [name for route in settings.routes for name in route.headers]
    if settings.identity.assertion is not None:
        everywhere.append(settings.identity.assertion.header)
    if settings.log.answer_request_id:
        everywhere.append("X-Request-Id")  # an answer has one, ours
    if settings.binds_devices:
        everywhere += OF_BINDINGS
    custom = settings.identity.headers
    scopes = {scope for route in routes if route.requirement is not None for scope in route.requirement.all_scopes}
    return CompiledRoutes(
        policy=Policy(routes, in_process=in_process),
        headers=IdentityHeaders(settings.identity.presets, custom, also_reserved=everywhere),
        headers_of_routes={
            index: IdentityHeaders(settings.identity.presets, {**custom, **route.headers}, also_reserved=everywhere)
            for index, route in enumerate(settings.routes)
            if route.headers
        },
        scopes=frozenset(scopes | set(settings.tiktok.scopes)),
        allow_files=tuple(files),
    )


def lint(settings: Settings) -> tuple[Problem, ...]:
    """Return what in the routes is probably not meant. Raises `SettingsError` as `compile_routes` does."""
    files: list[AllowFile] = []
    routes = [_build_route(settings, route, index, files) for index, route in enumerate(settings.routes)]
    return tuple(place(settings, key, message) for key, message in find_faults(routes, settings.tiktok.scopes))


def _build_route(settings: Settings, route: RouteSettings, index: int, files: list[AllowFile]) -> Route:
    """Return a route: what is called the same in the settings is taken over, the rest made."""
    upstream = settings.apps.get(route.upstream)
    return Route(
        **{name: getattr(route, name) for name in _SHARED},
        access=Access(route.access),
        methods=frozenset(route.methods) if route.methods else None,
        body_limit=route.limits.body if route.limits is not None else settings.limits.body,
        requirement=_build_requirement(route, f"routes[{index}].allow.file", files),
        headers=tuple(route.headers.items()),
        encoded_slashes=route.encoded_slashes == "keep",
        allowed_origins=frozenset(route.allowed_origins),
        strip_prefix=upstream.strip_prefix if upstream is not None else "",
    )


def _build_requirement(route: RouteSettings, where: str, files: list[AllowFile]) -> Requirement | None:
    if not route.scopes and route.allow is None and route.creator is None:
        return None
    creator = route.creator or CreatorSettings()
    ranges = {name: getattr(creator, name) for name in _COUNTS}
    return Requirement(
        scopes=frozenset(route.scopes),
        allow=_build_allow_list(route.allow, where, files) if route.allow is not None else None,
        is_verified=creator.is_verified,
        counts=tuple((name, Range(each.min, each.max)) for name, each in ranges.items() if each is not None),
    )


def _build_allow_list(allow: AllowSettings, where: str, files: list[AllowFile]) -> AllowList:
    named = Names(frozenset(allow.open_ids), frozenset(allow.union_ids), frozenset(allow.usernames))
    allowed = AllowList(named)
    if allow.file is not None:
        file = AllowFile(Path(allow.file), allowed, where)
        file.load()
        files.append(file)
    return allowed
