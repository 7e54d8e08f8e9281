"""`gateway check` and the certificate: whatever keeps browsers out is said before they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.keyring import new_secret_key
from gateway.errors import SettingsError
from gateway.runtime.certificate import Certificate
from gateway.settings import TlsSettings
from tests.certificates import issue
from tests.commands import invoke

ENVIRON = {
    "GATEWAY__PUBLIC_URL": "https://app.example.com",
    "GATEWAY__UPSTREAM": "http://127.0.0.1:3000",
    "GATEWAY__REDIS": "redis://127.0.0.1:6379/0",
    "GATEWAY__SECRET_KEYS": new_secret_key(),
    "GATEWAY__TIKTOK__CLIENT_KEY": "k",
    "GATEWAY__TIKTOK__CLIENT_SECRET": "s",
}


def check(certificate: Path, key: Path) -> tuple[int, str]:
    environ = ENVIRON | {"GATEWAY__TLS__CERTIFICATE": str(certificate), "GATEWAY__TLS__KEY": str(key)}
    told = invoke("check", environ=environ)
    return told.returncode, told.stderr


def test_a_good_pair_is_no_news(tmp_path: Path) -> None:
    assert check(*issue("app.example.com").write(tmp_path)) == (0, "")


def test_what_cannot_be_used_is_a_problem_that_names_the_file(tmp_path: Path) -> None:
    certificate, key = issue("app.example.com").write(tmp_path)
    key.write_bytes(issue("app.example.com").key_pem())
    code, said = check(certificate, key)
    assert (code, said) == (
        1,
        f"GATEWAY__TLS__KEY: tls.key: {key} is not that of the certificate: take both from one issue\n",
    )
    key.unlink()
    certificate.unlink()
    code, said = check(certificate, key)
    assert code == 1
    assert f"tls.certificate: {certificate} cannot be read: No such file or directory" in said
    assert f"tls.key: {key} cannot be read: No such file or directory" in said


def test_another_host_is_a_warning(tmp_path: Path) -> None:
    code, said = check(*issue("www.example.com").write(tmp_path))
    assert code == 0
    assert "warning: GATEWAY__TLS__CERTIFICATE: tls.certificate: " in said
    assert "is not for app.example.com, the host of public_url, but for www.example.com" in said


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    certificate, key = issue("app.example.com").write(tmp_path)
    key.unlink()
    key.mkdir()
    assert "cannot be read: Is a directory" in check(certificate, key)[1]


def test_a_bad_pair_is_refused_and_the_one_before_stays(tmp_path: Path) -> None:
    certificate, key = issue("app.example.com").write(tmp_path)
    settings = TlsSettings(certificate=str(certificate), key=str(key))
    held = Certificate(settings, "https://app.example.com")
    before = held.context
    key.write_bytes(issue("app.example.com").key_pem(b"secret"))
    with pytest.raises(SettingsError, match=r"tls\.key: .*privkey\.pem has a passphrase"):
        held.renew(settings, "https://app.example.com")
    issue("app.example.com").write(tmp_path)
    use = held.renew(settings, "https://app.example.com")
    assert held.context is before
    assert before.sni_callback is None
    use()
    assert held.context is before  # whose tickets serve on
    assert before.sni_callback is not None
