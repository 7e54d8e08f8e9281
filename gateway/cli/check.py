"""`gateway check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import SettingsError
from gateway.runtime.brand import open_pages
from gateway.runtime.certificate import check as inspect_certificate
from gateway.runtime.certificate import name_fault
from gateway.runtime.routes import lint
from gateway.settings import Problem, Settings, SettingsProblems, find, load, warnings


def check(config: Path | None, environ: Mapping[str, str], *, as_json: bool, needs_upstream: bool = True) -> int:
    """Print every problem and warning; returns the exit code."""
    try:
        path = find(environ, config)
        settings = load(path, environ, needs_upstream=needs_upstream)
    except SettingsProblems as error:
        _print(error.problems, (), as_json=as_json)
        if not as_json and [problem.key for problem in error.problems] == ["upstream"]:
            print("with `protect(app)`, no upstream is needed: gateway check --middleware", file=sys.stderr)
        return 1
    try:
        cautions = (*warnings(settings, in_process=not needs_upstream), *lint(settings))
        open_pages(settings)
    except SettingsProblems as error:  # what the brand's folder has
        _print(error.problems, (), as_json=as_json)
        return 1
    except SettingsError as error:  # an allow-list's file
        _print((Problem("", "", str(error)),), (), as_json=as_json)
        return 1
    problems, more = _inspect_certificate(settings)
    cautions += more
    _print(problems, cautions, as_json=as_json)
    if problems:
        return 1
    if not as_json:
        print(f"{path or 'the environment'}: settings are fine")
        print(f"redirect URI to register at TikTok: {settings.redirect_uri}")
    return 0


def _inspect_certificate(settings: Settings) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Return what is wrong with the certificate so that TLS cannot be spoken, and what besides."""
    if settings.tls is None:
        return (), ()
    faults = inspect_certificate(settings.tls, settings.public_url)
    told = [(fault.usable, Problem("", *name_fault(settings.tls, fault))) for fault in faults]
    return tuple(each for usable, each in told if not usable), tuple(each for usable, each in told if usable)


def _print(problems: tuple[Problem, ...], cautions: tuple[Problem, ...], *, as_json: bool) -> None:
    if as_json:
        found = {
            "problems": [str(problem) for problem in problems],
            "warnings": [str(each) for each in cautions],
        }
        print(json.dumps(found, indent=2))
        return
    for problem in problems:
        print(problem, file=sys.stderr)
    for caution in cautions:
        print(f"warning: {caution}", file=sys.stderr)
