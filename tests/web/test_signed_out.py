"""Where somebody may go who has signed out: to the app's start page, if that is open to them, or to sign in again."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.asgi import protect
from tests.web.test_testing import read

HOME = '<a class="button wide" href="/">Back to the start page</a>'


@pytest.mark.parametrize(
    ("routes", "leads_home"),
    [
        ("[{path: /, access: public}, {path: /**}]", True),
        ("[{path: /, access: optional}, {path: /**}]", True),
        ("[{path: /open, access: public}, {path: /**}]", False),
        ("[{path: /, access: deny}, {path: /**, access: public}]", False),
        ("[{path: /, host: other.example, access: public}, {path: /**}]", False),
    ],
)
def test_the_way_to_the_start_page_is_shown_where_it_is_open(routes: str, leads_home: bool) -> None:
    client = TestClient(
        protect(Starlette(), read(GATEWAY__ROUTES=routes, GATEWAY__RETURN_TO="{allowed_hosts: [other.example]}"))
    )
    page = client.get("/oauth2/sign_out").text
    assert "You are signed out" in page
    assert 'href="/oauth2/sign_in">Sign in again<' in page
    assert (HOME in page) == leads_home
