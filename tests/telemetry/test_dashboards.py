"""What is watched by the files in `config/` is there, is documented, and its alerts speak when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.core.audit import What
from gateway.telemetry.metrics import WHATS, Metrics
from tests.programs import need

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config" / "prometheus" / "alerts.yml"
BOARD = ROOT / "config" / "grafana" / "gateway.json"
GUIDE = ROOT / "docs" / "observing.md"
_NAME = re.compile(r"\bgateway_[a-z_]+")
_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def exposed() -> dict[str, set[str]]:
    """Return the metrics of a gateway that has just started, each with the names of its labels, where it has some."""
    text = Metrics().exposition().decode()
    names: dict[str, set[str]] = {name: set() for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    for name, labels in re.findall(r"^(gateway_\w+)\{(.*)\}", text, re.MULTILINE):
        names[_OF_HISTOGRAM.sub("", name) if _OF_HISTOGRAM.sub("", name) in names else name] |= set(
            re.findall(r"(\w+)=", labels)
        )
    return names


def read_alerts() -> list[dict[str, Any]]:
    groups = YAML(typ="safe", pure=True).load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for rule in read_alerts():
        yield rule["expr"]
    board = json.loads(BOARD.read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def test_every_metric_that_is_watched_is_there() -> None:
    names = exposed()
    asked = [name for text in expressions() for name in _NAME.findall(text) if not name.endswith("_")]
    assert len(set(asked)) >= 8
    for name in asked:
        assert name in names or _OF_HISTOGRAM.sub("", name) in names, name


def test_every_metric_is_watched_and_documented() -> None:
    text, watched = GUIDE.read_text(), " ".join(expressions())
    for name in exposed():
        assert f"`{name}`" in text, f"{name} is not in docs/observing.md"
        assert name in watched, f"nothing shows {name}"


def test_what_labels_are_asked_for_is_what_there_is() -> None:
    metrics = Metrics()
    metrics.count_request("allow", 200, 0.1)
    known = {"le", "job", "instance", "decision", "status"} | {
        label for labels in exposed().values() for label in labels
    }
    for text in expressions():
        asked = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", text)) | {
            label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", text) for label in labels.split(",")
        }
        assert asked <= known, text


def test_causes_and_codes_that_are_asked_for_can_come() -> None:
    can_come = Metrics().exposition().decode()
    for text in expressions():
        for label, values in re.findall(r'(code|cause|outcome|blame|what|decision)[=!]~?"([^"]+)"', text):
            for value in values.replace(".*", "").split("|"):
                if label in {"code", "blame", "what"}:
                    assert f'{label}="{value}' in can_come, (label, value)
                elif label == "cause":
                    assert f'code="{value}"' in can_come, (label, value)


@pytest.mark.parametrize("rule", read_alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_a_paragraph_about_it(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/observing.md"
    assert anchor == rule["alert"].lower()
    assert f"### {rule['alert']}\n" in GUIDE.read_text()
    assert rule["labels"]["severity"] in {"warning", "critical"}


def test_prometheus_takes_the_alerts_and_they_speak_when_they_should(tmp_path: Path) -> None:
    promtool = need("promtool")
    shutil.copytree(ALERTS.parent, tmp_path, dirs_exist_ok=True)
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_on_a_good_day_and_on_a_bad_one() -> None:
    good, bad = YAML(typ="safe", pure=True).load((ALERTS.parent / "alerts.test.yml").read_text())["tests"]
    names = {rule["alert"] for rule in read_alerts()}
    assert {each["alertname"] for each in good["alert_rule_test"]} == names
    assert bad["promql_expr_test"][0]["exp_samples"][0]["value"] == len(names)


def test_prometheus_takes_what_is_exposed(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.count_sign_in("begun")
    done = subprocess.run(
        [need("promtool"), "check", "metrics"], input=metrics.exposition(), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    panels = json.loads(BOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert at["x"] + at["w"] <= 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_counted_events_are_those_of_the_trail() -> None:
    assert set(WHATS) == set(What)
