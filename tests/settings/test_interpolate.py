from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.interpolate import has_reference, interpolate
from gateway.settings.parts import read_duration, read_size, write_duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("x${A}y${B:-2}z", "x1y2z"),
        ("${B:-}", ""),
        ("${A:-2}", "1"),
        ("${B:-a:b/c}", "a:b/c"),
        ("$A $ $$ pa$$word", "$A $ $$ pa$$word"),
        ("$${A}", "${A}"),
    ],
)
def test_references(text: str, value: str) -> None:
    assert interpolate(text, {"A": "1"}) == value


@pytest.mark.parametrize("text", ["${B}", "${", "${}", "${A-B}", "${1A}", "${file:/not/here}"])
def test_what_cannot_be_resolved_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        interpolate(text, {"A": "1"})


@given(st.text())
def test_text_without_references_stays(text: str) -> None:
    if "${" not in text:
        assert interpolate(text, {}) == text
        assert not has_reference(text)


@given(st.text())
def test_values_are_not_read_again(value: str) -> None:
    assert interpolate("${A}", {"A": value}) == value


def test_a_file_loses_only_its_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" s3cret \n\n")
    assert interpolate(f"${{file:{path}}}", {}) == " s3cret \n"


@given(st.integers(min_value=1, max_value=300_000_000))
def test_durations_survive_writing(seconds: int) -> None:
    duration = read_duration(f"{seconds}s")
    assert read_duration(write_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5x", "-5s", "0s", "1h-5m", "5sm", "9999999d", True, None, []])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        read_duration(text)


@pytest.mark.parametrize(("text", "size"), [("8KiB", 8192), (5, 5), ("1MiB", 1048576), ("7", 7)])
def test_sizes(text: object, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "8KB", "-1", 0, True, None, "0KiB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        read_size(text)
