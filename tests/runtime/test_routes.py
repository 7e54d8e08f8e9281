"""From the settings of a route to the policy."""

from __future__ import annotations

from gateway.core.route import Route
from gateway.settings import RouteSettings

MADE_INTO = {"limits": "body_limit", "scopes": "requirement", "allow": "requirement", "creator": "requirement"}


def test_no_key_of_a_route_is_left_behind() -> None:
    """A key is taken over by its name, or is part of something that the policy has."""
    left = {name for name in RouteSettings.model_fields if MADE_INTO.get(name, name) not in Route.__struct_fields__}
    assert not left, f"add a field to core/route.py, or say here what it is made into: {left}"
