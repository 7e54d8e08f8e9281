"""What answers have by their status alone."""

from __future__ import annotations

import pytest

from gateway.core.response import AnswerHead, build_field, has_no_body


@pytest.mark.parametrize("status", [100, 101, 103, 199, 204, 304])
def test_an_answer_without_a_body(status: int) -> None:
    assert has_no_body(status)


@pytest.mark.parametrize("status", [200, 203, 205, 206, 301, 303, 305, 400, 404, 599])
def test_an_answer_with_one(status: int) -> None:
    assert not has_no_body(status)


def head(status: int, length: int, *, keep_alive: bool = True) -> AnswerHead:
    return AnswerHead(status, [build_field(b"content-length", b"%d" % length)], length, keep_alive=keep_alive)


def test_an_answer_is_whole_with_as_many_bytes_as_it_says() -> None:
    assert head(200, 5).is_whole(5)
    assert head(200, 0).is_whole(0)
    assert not head(200, 5).is_whole(4)
    assert not head(200, 5).is_whole(6)


@pytest.mark.parametrize("status", [101, 204, 304])
def test_what_has_no_body_is_never_taken_for_whole_by_its_length(status: int) -> None:
    assert not head(status, 5).is_whole(5)
    assert not head(status, 0).is_whole(0)


def test_an_answer_that_ends_its_connection_is_not_taken_for_whole() -> None:
    assert not head(200, 5, keep_alive=False).is_whole(5)
