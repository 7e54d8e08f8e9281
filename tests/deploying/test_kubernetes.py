"""Kubernetes: Kustomize builds the example, the schemas take it, and its parts agree with each other."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.settings import Settings, load
from tests.commands import invoke
from tests.deploying.starting import CONFIG, write_secrets
from tests.programs import need

FOLDER = CONFIG / "kubernetes" / "sidecar"
SECRETS = ["secret_key", "tiktok_client_secret", "redis_password"]
NEEDED = """needs kubernetes-validate: pip install '.[dev]'"""
Documents = dict[str, dict[str, Any]]


def kustomize(folder: Path) -> list[dict[str, Any]]:
    """Build a folder."""
    program = [need("kustomize"), "build"] if not shutil.which("kubectl") else ["kubectl", "kustomize"]
    done = subprocess.run([*program, str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(YAML(typ="safe", pure=True).load_all(done.stdout))


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the example makes, once its secrets are filled in."""
    copied = tmp_path_factory.mktemp("kubernetes") / "sidecar"
    shutil.copytree(FOLDER, copied)
    example = copied / "overlays" / "example"
    empty = (example / "secrets.env.example").read_text()
    (example / "secrets.env").write_text(re.sub(r"=$", "=s3cr3t", empty, flags=re.MULTILINE))
    return kustomize(example)


@pytest.fixture
def kinds(documents: list[dict[str, Any]]) -> Documents:
    """By their kind; of maps, by their name without the hash."""
    return {
        each["metadata"]["name"].rpartition("-")[0] if each["kind"] in {"ConfigMap", "Secret"} else each["kind"]: each
        for each in documents
    }


def pod_of(kinds: Documents) -> dict[str, Any]:
    spec: dict[str, Any] = kinds["Deployment"]["spec"]["template"]["spec"]
    return spec


def container(kinds: Documents, name: str) -> dict[str, Any]:
    return next(each for each in pod_of(kinds)["containers"] if each["name"] == name)


def read_settings(kinds: Documents, tmp_path: Path) -> tuple[Settings, Path, dict[str, str]]:
    """Return the settings as the gateway's container has them."""
    secrets = write_secrets(tmp_path / "secrets", SECRETS)
    path = tmp_path / "gateway.yaml"
    path.write_text(kinds["gateway-settings"]["data"]["gateway.yaml"].replace("/run/secrets/gateway", str(secrets)))
    environ = kinds["gateway-environment"]["data"]
    return load(path, environ), path, environ


@pytest.mark.parametrize("version", ["1.30", "1.33", "1.37"])
def test_the_schemas_take_it(documents: list[dict[str, Any]], version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason=NEEDED)
    for each in documents:
        validator.validate(each, version, strict=True)


def test_the_schemas_refuse_what_is_no_field(kinds: Documents) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason=NEEDED)
    wrong = json.loads(json.dumps(kinds["Deployment"]).replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, "1.37", strict=True)


def test_the_settings_are_fine_and_only_what_is_meant_is_warned_of(kinds: Documents, tmp_path: Path) -> None:
    _, path, environ = read_settings(kinds, tmp_path)
    done = invoke("check", "-c", str(path), "--json", environ=environ)
    assert done.returncode == 0, done.stdout
    warned = [each["key"] for each in json.loads(done.stdout)["warnings"]]
    assert warned == ["admin.listen"]  # which the NetworkPolicy closes


def test_the_gateway_finds_what_its_settings_name(kinds: Documents) -> None:
    text = kinds["gateway-settings"]["data"]["gateway.yaml"]
    assert set(re.findall(r"\$\{([A-Z_]+)\}", text)) == set(kinds["gateway-environment"]["data"])
    assert set(re.findall(r"/run/secrets/gateway/(\w+)", text)) == set(SECRETS) == set(kinds["gateway-secrets"]["data"])
    assert base64.b64decode(kinds["gateway-secrets"]["data"]["secret_key"]) == b"s3cr3t"
    gateway, volumes = container(kinds, "gateway"), {each["name"]: each for each in pod_of(kinds)["volumes"]}
    assert gateway["envFrom"] == [{"configMapRef": {"name": kinds["gateway-environment"]["metadata"]["name"]}}]
    assert {each["name"]: each["mountPath"] for each in gateway["volumeMounts"]} == {
        "settings": "/etc/gateway",
        "secrets": "/run/secrets/gateway",
    }
    assert volumes["settings"]["configMap"]["name"] == kinds["gateway-settings"]["metadata"]["name"]
    assert volumes["secrets"]["secret"]["secretName"] == kinds["gateway-secrets"]["metadata"]["name"]


def test_ports_are_those_of_the_settings(kinds: Documents, tmp_path: Path) -> None:
    settings, _, _ = read_settings(kinds, tmp_path)
    assert settings.admin.listen is not None
    ports = {each["name"]: each["containerPort"] for each in container(kinds, "gateway")["ports"]}
    assert ports == {"http": settings.listen[0].address.port, "admin": settings.admin.listen.address.port}
    assert [each["targetPort"] for each in kinds["Service"]["spec"]["ports"]] == ["http"]
    rule = kinds["Ingress"]["spec"]["rules"][0]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": kinds["Service"]["metadata"]["name"], "port": {"name": "http"}}
    assert f"https://{rule['host']}" == settings.public_url
    assert kinds["Ingress"]["spec"]["tls"][0]["hosts"] == [rule["host"]]


def test_probes_ask_the_admin_listener(kinds: Documents) -> None:
    gateway = container(kinds, "gateway")
    asked = {name: gateway[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }


def test_selectors_find_the_pods_and_no_others(kinds: Documents) -> None:
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"] == {
        "matchLabels": labels
    }  # {} would close the whole namespace
    assert kinds["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": labels}


def test_the_app_is_reached_through_the_gateway_alone(kinds: Documents, tmp_path: Path) -> None:
    settings, _, _ = read_settings(kinds, tmp_path)
    app, (upstream,) = container(kinds, "app"), settings.apps["default"].url
    address = dict(zip(app["command"], app["command"][1:], strict=False))
    assert upstream == f"http://{address['--host']}:{address['--port']}" == "http://127.0.0.1:3000"
    assert "ports" not in app
    ingress = kinds["NetworkPolicy"]["spec"]["ingress"]
    assert [[port["port"] for port in each["ports"]] for each in ingress] == [["http"], ["admin"]]
    assert all(each["from"] for each in ingress)


def test_requests_under_way_have_the_time_of_the_drain(kinds: Documents, tmp_path: Path) -> None:
    settings, _, _ = read_settings(kinds, tmp_path)
    drain = settings.drain.delay + settings.drain.timeout
    assert settings.drain.delay > timedelta(0), "load balancers need a moment to notice"
    sleep = container(kinds, "app")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert timedelta(seconds=sleep) > drain, "the app must be there until the gateway has ended"
    assert pod_of(kinds)["terminationGracePeriodSeconds"] >= sleep + 10
    assert "lifecycle" not in container(kinds, "gateway")


@pytest.mark.parametrize("name", ["gateway", "app"])
def test_the_pod_obeys_the_restricted_standard(kinds: Documents, name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and more."""
    pod = pod_of(kinds)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container(kinds, name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_changed_setting_is_a_new_roll_out(kinds: Documents) -> None:
    """A ConfigMap of another name: pods that go on with the old one are not told of a changed map by themselves."""
    assert re.fullmatch(r"gateway-settings-\w{10}", kinds["gateway-settings"]["metadata"]["name"])
