"""Whatever stands in a file: settings, or problems with the place of each, and never a traceback."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import SettingsError
from gateway.runtime.routes import lint
from gateway.settings import Problem, SettingsProblems, load, load_lists, warnings
from gateway.settings.yaml_file import LARGEST, load_yaml, parse_flow
from gateway.settings.yaml_value import DEEPEST, MOST_COPIES
from tests.examples import read_with_examples

EXAMPLE = read_with_examples()
ENVIRON = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s",
}


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return load_yaml(path)


def fault(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsProblems) as caught:
        read(tmp_path, text)
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0]).removeprefix(f"{tmp_path}/x.yaml:")


def test_a_merge_key_takes_in_what_is_not_there(tmp_path: Path) -> None:
    text = (
        "routes:\n- &c {path: /a, access: public}\n- {<<: *c, path: /b}\n- path: /c\n  <<: [*c, {access: deny, x: 1}]\n"
    )
    found, places = read(tmp_path, text)
    public = {"access": "public"}
    assert found == {"routes": [{"path": "/a"} | public, {"path": "/b"} | public, {"path": "/c", "x": 1} | public]}
    assert places[("routes", 1, "path")] == (3, 12)
    assert places[("routes", 1, "access")] == (2, 17)  # where it is written
    assert places[("routes", 2, "x")] == (5, 27)


def test_a_merge_key_in_quotes_is_a_key(tmp_path: Path) -> None:
    assert read(tmp_path, "'<<': 1\n")[0] == {"<<": 1}


def test_a_mistake_in_what_is_merged_is_told_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("public_url: x\nroutes:\n- &c {path: /a, acess: public}\n- {<<: *c, path: /b}\n")
    with pytest.raises(SettingsProblems) as caught:
        load(path, {})
    told = [str(problem) for problem in caught.value.problems]
    assert f"{path}:3:17: routes[0].acess: is not a key; did you mean `access`?" in told
    assert f"{path}:3:17: routes[1].acess: is not a key; did you mean `access`?" in told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None), ("", None), ("null", None), ("true", True), ("False", False), ("yes", "yes"), ("off", "off"),
        ("010", 10), ("0o10", 8), ("0x1F", 31), ("-5", -5), ("1.5e3", 1500.0), ("-.inf", float("-inf")),
        ("2020-01-01", "2020-01-01"), ("'5'", "5"), ("!!str 5", "5"), ("9" * 5000, "9" * 5000),
        ("|\n  a\n  b", "a\nb\n"), ("1_0", "1_0"), ("&a 5", 5), ("'\\0'", "\\0"), ("é", "é"), ("=", "="),
    ],
)  # fmt: skip
def test_words_are_what_the_core_schema_says(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"a: {text}\n")[0] == {"a": value}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: a: stands in this mapping twice, first in line 1"),
        ("a: {1: x, '1': y}", "1:11: 1: stands in this mapping twice"),
        ("a: *b", "1:4: is an alias of an anchor that does not stand before it"),
        ("a: &a [*a]", "1:8: is an alias within what it stands for"),
        ("a: &a {b: *a}", "1:11: is an alias within"),
        ("a: {<<: 5}", "1:9: <<: takes a mapping"),
        ("a: {<<: [5]}", "1:9: <<: takes a mapping"),
        ("a: {<<: {}, <<: {}}", "1:13: <<: stands here twice"),
        ("a: !x y", "1:4: has a tag"),
        ("a: !!binary aGk=", "1:4: has a tag"),
        ("? [a]\n: b", "1:3: is no key"),
        ("? {a: b}\n: c", "1:3: is no key"),
        ('"a\\eb": 1', "1:1: a\\x1bb: has a control character"),
        ("a: 1\n---\nb: 2\n", "3:1: begins a second document"),
        ("- a", "1:1: is not a mapping"),
        ("just words", "1:1: is not a mapping"),
        ("a:\n\t- b", "2:1: has a tab"),
        ("a: 1\nb: x\x00y", "2:5: has the character U+0000"),
        ("a: \x1b[31m", "1:4: has the character U+001B"),
        ("a: \ud800", "1:1: cannot be read"),
        ("%YAML 99999999999999999999.1\n---\na: 1", "1:1: "),
        ("a: [", "1:4: opens a [ that is never closed"),
        ("a: 'b", "1:4: opens a quote that is never closed"),
        ('a: "\\UFFFFFFFF"', "1:"),
    ],
)
def test_what_is_no_yaml_of_ours_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    if "\ud800" in text:
        with pytest.raises(SettingsError, match="not UTF-8"):
            read(tmp_path, text)
    else:
        assert fault(tmp_path, text).startswith(told)


@pytest.mark.parametrize(
    "text",
    [
        "client_secret: s3cret\nclient_secret: S3cret\n",
        "client_secret: *s3cret\n",
        "client_secret: !s3cret x\n",
        "client_secret: !s3cret!x y\n",
        "client_secret: %s3cret\n",
        'client_secret: "s3cret\\q"\n',
        "client_secret: &s3cret\n&s3cret: 1\n",
        "client_secret: s3cret\n s3cret\n  : s3cret\n",
        "{client_secret:s3cret, client_secret:s3cret}",
        "%s3cret s3cret\n---\na: *b\n",
    ],
)
def test_a_fault_quotes_nothing_of_a_value(tmp_path: Path, text: str) -> None:
    assert "3cret" not in fault(tmp_path, text)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[{a: ", "!!seq [", "&a [", '"'])
def test_deep_nesting_ends_at_the_bound(tmp_path: Path, opening: str) -> None:
    """The scanner is asked for little more than what is allowed: it takes ever longer the deeper a text is nested."""
    told = fault(tmp_path, opening * 50_000)
    if opening != '"':
        assert f"is nested more than {DEEPEST} deep" in told
        assert int(told.split(":")[1]) <= (DEEPEST + 1) * len(opening)
    assert read(tmp_path, f"a: {'[' * (DEEPEST - 1)}{']' * (DEEPEST - 1)}")


def test_aliases_are_bounded(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))
    assert f"more than {MOST_COPIES:,} values" in fault(tmp_path, laughs)
    merges = "a0: &a0 {x: [1, 2, 3, 4]}\n"
    merges += "".join(f"a{n}: &a{n} {{y{n}: *a{n - 1}, <<: *a{n - 1}}}\n" for n in range(1, 40))
    assert f"more than {MOST_COPIES:,} values" in fault(tmp_path, merges)


def test_copies_of_an_alias_are_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("upstreams: {default: &u {url: 'http://a'}, x: *u}\n")
    with pytest.raises(SettingsProblems) as caught:
        load(path, {"GATEWAY__UPSTREAMS__X__STRIP_PREFIX": "bad"})
    assert [problem.key for problem in caught.value.problems if "prefix" in problem.key] == ["upstreams.x.strip_prefix"]


def test_a_giant_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(SettingsError, match="more than 16 MiB"):
        load_yaml(path)


@pytest.mark.parametrize("name", ["", ".", "not-here", "x" * 5000, "a\0b", "/dev/zero", "x.yaml/y"])
def test_what_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.yaml").write_text("")
    with pytest.raises(SettingsError, match="cannot be read: "):
        load_yaml(tmp_path / name)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa: 1\n")[0] == {"a": 1}


ODD = (
    "<< &a *a !!int !x - ? : , [ ] { } ' \" | > # --- ... %YAML @ ` ~ null .nan 1e999 0x 2020-01-01 true "
    "${A} ${ ${file:/} $${ \\ -1 99999999999999999999999 redis url routes path tiktok"
)
words = st.text(max_size=12) | st.sampled_from(
    [*ODD.split(), "", "\t", "\n", "\r\n", "\x85", "\u2028", "\ufeff", "\x00"]
)


@st.composite
def changed_examples(draw: st.DrawFn) -> str:
    """The example with some pieces cut out, doubled, or replaced."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        text = text[:start] + draw(words | st.just(text[start:end] * 2)) + text[end:]
    return text


def values() -> st.SearchStrategy[str]:
    """Flow-style YAML of any shape."""
    leaf = words | st.integers().map(str) | st.floats().map(str) | st.text().map(lambda text: repr(text))
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
            | st.lists(st.tuples(inner, inner), max_size=3).map(
                lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
            )
        ),
        max_leaves=8,
    )


@st.composite
def odd_values(draw: st.DrawFn) -> str:
    """The example with the value of one key replaced by something of any shape."""
    keys = list(re.finditer(r"(?m)^( *[a-z_]+:) .+$", EXAMPLE))
    key = draw(st.sampled_from(keys))
    return f"{EXAMPLE[: key.start()]}{key[1]} {draw(values())}{EXAMPLE[key.end() :]}"


def judge(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for problem in problems_of(path):
        place = re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+)", problem.where)
        assert place is not None, problem
        assert 1 <= int(place[1]) <= len(text.splitlines()) + 1
        assert str(problem).isprintable()


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        found = load(path, ENVIRON)
        assert repr(found)
        assert isinstance((*warnings(found), *lint(found)), tuple)
    except SettingsProblems as error:
        return error.problems
    except SettingsError:  # a file that the settings name, or that is no text
        return ()
    return ()


@settings(max_examples=120, deadline=None)
@given(text=changed_examples() | odd_values() | values() | st.text())
@example(text=EXAMPLE.replace("target_bytes: 8KiB", "target_bytes: .nan"))
@example(text=EXAMPLE.replace("head_timeout: 10s", "head_timeout: " + "9" * 400))
@example(text=EXAMPLE.replace("public_url: https://app.example.com", 'public_url: "https://[::1"'))
@example(text=EXAMPLE.replace("/feed,", f"'regex:{'(' * 3000}',"))
@example(text=EXAMPLE.replace("/feed,", "'regex:a{99999999999999}',"))
@example(text=EXAMPLE.replace("trusted_proxies: []", "trusted_proxies: [5, true, 1.5, {a: b}]"))
@example(text=EXAMPLE.replace("0.0.0.0:8080", "x:" + "9" * 5000))
def test_any_file_ends_in_settings_or_in_problems_with_their_places(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    judge(tmp_path_factory.getbasetemp() / "fuzzed.yaml", text)


@settings(max_examples=80, deadline=None)
@given(
    text=values(),
    key=st.sampled_from(["redis", "upstream", "routes", "tiktok", "upstreams__x", "x", "", "admin__keys"]),
)
def test_any_variable_ends_in_settings_or_in_problems(text: str, key: str) -> None:
    with pytest.raises(SettingsError, match=r"public_url"):
        load(None, {f"GATEWAY__{key.upper()}": text})


@settings(max_examples=40, deadline=None)
@given(text=values())
def test_any_list_of_people_is_one_or_not(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "people.yaml"
    path.write_bytes(f"open_ids: {text}".encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SettingsError):
        assert all(isinstance(word, str) for word in load_lists(path, ["open_ids"])["open_ids"])


def test_a_variable_that_is_no_flow_is_told_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither a YAML list nor a mapping: at character 1, opens a \["):
        parse_flow('["a", "b"')
