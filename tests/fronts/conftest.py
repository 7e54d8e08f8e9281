"""Who comes to a front; each module says which front it is."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.fronts.starting import Front
from tests.harness import Browser


@pytest.fixture(scope="module")
def person(front: Front) -> Generator[Browser]:
    """Somebody who is signed in; nobody is to sign them out."""
    with Browser(front.url) as browser:
        assert browser.sign_in().status_code == 200
        yield browser
