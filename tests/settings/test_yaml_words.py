"""What is no YAML is told in an operator's words: where, what is there, what was probably meant; and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import SettingsProblems, load
from gateway.settings.excerpt import excerpt
from gateway.settings.keys import every_key

SECRET = "Qx7Zk2Vw9Jt4Rb6Ny8Mc3"
PARSERS_WORDS = ("expected", "but got", "but found", "token", "scalar", "block", "node", "stream", "mapping values")


def fault(tmp_path: Path, text: str) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(SettingsProblems) as caught:
        load(path, {})
    assert len(caught.value.problems) == 1
    return str(caught.value.problems[0]).removeprefix(f"{path}:")


FAULTS = [
    ("public_url: x\n\tlanguages: [de]\n", "2:1: has a tab", "→languages: [de]"),
    ("tiktok:\n  client_key: a\n\tclient_secret: SECRET\n", "3:1: has a tab", "→client_secret: …"),
    ('public_url: "x\nlanguages: de\n', "1:13: opens a quote that is never closed", 'public_url: "x'),
    ('public_url: "x\nbrand:\n  name: "y"\n', "1:13: opens a quote that ends only in line 3", 'public_url: "x'),
    ("tiktok:\n  client_secret: 'SECRET\n", "2:18: opens a quote that is never closed", "  client_secret: …"),
    ("secret_keys: ['SECRET'x]\n", "1:38: needs a comma before this", "secret_keys: …"),
    ("brand:\n  name: 'Ada's shop'\n", "2:14: goes on after the closing quote", "  name: 'Ada's shop'"),
    ("public_url: x\n languages: de\n", "2:11: is indented by 1, under a key that has its value", " languages: de"),
    ("tiktok:\n    client_key: a\n  client_secret: SECRET\n", "3:3: is a key indented by 2", "  client_secret: …"),
    ("routes:\n- path: /a\n - path: /b\n", "3:2: is an item indented by 1, which fits", " - path: /b"),
    ("routes: [\n", "1:9: opens a [ that is never closed", "routes: …"),
    ("routes:\n  - path: /a\n - path: /b\n", "3:2: is an item indented by 1, which fits nothing", " - path: /b"),
    ("routes:\n  path: /a\n  - path: /b\n", "3:3: is an item where line 2 began something else", "  - path: /b"),
    ("public_url:https://x\nlanguages: de\n", "2:10: comes after a line that is no `key: value`", "languages: de"),
    ("public_url\nlanguages: de\n", "2:10: comes after a line that is no `key: value`", "languages: de"),
    ("languages: de\nSECRET\nbrand: {}\n", "2:1: is neither `key: value` nor an item", ""),
    ("brand:\n  name: Ada: the shop\n", "2:12: has a second `: ` in one line", "  name: Ada: the shop"),
    ("brand:\n  footer: @ada\n", "2:11: begins with @", "  footer: @ada"),
    ("brand:\n  footer: `ada`\n", "2:11: begins with `", "  footer: `ada`"),
    ("tiktok: {client_secret: %SECRET}\n", "1:25: begins with %", "tiktok: …"),
    ("routes: [{path: /a, x: y}\nlanguages: de\n", "2:1: comes before the closing ] of the [", "languages: de"),
    ("tiktok: {client_key: a, client_secret: SECRET\n", "1:9: opens a { that is never closed", "tiktok: …"),
    ("languages: [de]]\n", "1:16: has a ] that belongs to nothing", "languages: [de]]"),
    ('brand:\n  name: "a\\qb"\n', "2:12: has a \\ in double quotes that begins no escape", '  name: "a\\qb"'),
    ("routes:\n  - path: *\n", "2:11: begins with * or &", "  - path: *"),
    ("brand:\n  footer: |SECRET\n", "2:12: has text after | or >", "  footer: |SECRET"),
    ("languages: de\nlanguages: en\n", "2:1: languages: stands in this mapping twice", "languages: en"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said", "line"), FAULTS, ids=[said for _, said, _ in FAULTS])
def test_a_fault_is_told_in_words_with_place_and_line(tmp_path: Path, text: str, said: str, line: str) -> None:
    found = fault(tmp_path, text.replace("SECRET", SECRET if "footer" not in text else "x"))
    assert found.startswith(said), found
    assert not [word for word in PARSERS_WORDS if word in found]
    shown = line.replace("SECRET", "x")
    assert found.endswith(f" (the line: `{shown}`)") if line else "(the line" not in found, found
    assert SECRET not in found


SECRET_NAMES = sorted({key[-1] for key, secret in every_key().items() if secret} - {"*"})


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "form", ["{}: {}", "  - {}: {}", "tiktok: {{{}: {}", "name: x, {}: {}", "{}: ['{}", '{}\t:\t"{}']
)
def test_a_line_shows_no_secret(name: str, form: str) -> None:
    assert SECRET not in excerpt(form.format(name, SECRET))


@pytest.mark.parametrize(
    "line", [SECRET, f"{SECRET}: x", f"- {SECRET}", f"public_url: https://u:{SECRET}@x", f"# {SECRET}"]
)
def test_a_secret_in_the_wrong_place_is_not_shown(line: str) -> None:
    assert SECRET not in excerpt(line)


def test_a_long_line_is_cut() -> None:
    assert len(excerpt("public_url: " + "x" * 1000)) < 80
