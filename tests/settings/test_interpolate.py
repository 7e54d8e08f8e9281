from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.interpolate import has_reference, interpolate
from gateway.settings.scalars import read_duration, read_size, read_span, write_duration


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


@pytest.mark.parametrize(
    "text",
    [
        "${B}",
        "${",
        "${}",
        "${A-B}",
        "${1A}",
        "${file:/not/here}",
        "${A",
        "${file:${B}}",
        "${file:/}",
        "${file:}",
        "${B:-${C}}",
    ],
)
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


@pytest.mark.parametrize("around", ["", "\n", "\r\n", " \n\n", "\ufeff", "\ufeff \t", "\u00a0"])
def test_a_file_loses_what_editors_leave_at_its_ends(tmp_path: Path, around: str) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{around}s3 cret{around}", encoding="utf-8")
    assert interpolate(f"<${{file:{path}}}>", {}) == "<s3 cret>"


def test_references_stand_within_paths_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret ${A}\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "A": "1"}
    assert interpolate("${file:${CREDENTIALS_DIRECTORY}/key}", environ) == "s3cret ${A}"
    assert interpolate("${file:${NONE:-${CREDENTIALS_DIRECTORY}}/${N:-key}}", environ) == "s3cret ${A}"
    assert interpolate("${B:-<${A}>}${A:-${NOT_NEEDED}}{}", environ) == "<1>1{}"
    assert interpolate("${B:-{a}}", environ) == "{a}"


def test_an_error_quotes_what_is_written_and_no_value(tmp_path: Path) -> None:
    """A variable may hold the secret itself where a path was meant."""
    with pytest.raises(ValueError, match=r"cannot read the file \$\{SECRET\}/x: ") as caught:
        interpolate("${file:${SECRET}/x}", {"SECRET": "s3cret"})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValueError, match="neither") as caught:
        interpolate("${s3 cret}", {})
    assert "s3 cret" not in str(caught.value)


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(ValueError, match=r"/dev/zero: it has more than 1024 KiB"):
        interpolate("${file:/dev/zero}", {})


def test_references_are_not_nested_without_end() -> None:
    with pytest.raises(ValueError, match="within each other"):
        interpolate("${A:-" * 100_000, {})


@given(st.integers(min_value=1, max_value=300_000_000))
def test_durations_survive_writing(seconds: int) -> None:
    duration = read_duration(f"{seconds}s")
    assert read_duration(write_duration(duration)) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        5,
        0.5,
        float("nan"),
        float("inf"),
        10**400,
        "9" * 5000 + "s",
        "s",
        "5 s",
        "5x",
        "-5s",
        "0s",
        "1h-5m",
        "5sm",
        "9999999d",
        True,
        None,
        [],
    ],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        read_duration(text)


@pytest.mark.parametrize("number", [30, "30", "0.5", 1e3])
def test_a_number_needs_a_unit(number: object) -> None:
    with pytest.raises(ValueError, match=rf"without a unit: write {number}s, {number}m"):
        read_span(number)


@pytest.mark.parametrize("nothing", [0, "0", 0.0, "0s", "0ms"])
def test_nothing_needs_none(nothing: object) -> None:
    assert not read_span(nothing)


@pytest.mark.parametrize(("text", "size"), [("8KiB", 8192), (5, 5), ("1MiB", 1048576), ("7", 7)])
def test_sizes(text: object, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "8KB", "-1", 0, True, None, "0KiB"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        read_size(text)
