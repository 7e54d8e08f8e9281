"""`gateway check`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.cli.document import print_document, read_problems
from gateway.errors import SettingsError
from gateway.runtime.brand import find_unfinished, open_pages
from gateway.runtime.certificate import check as find_faults
from gateway.runtime.certificate import name_fault
from gateway.runtime.extras import find_missing_extras
from gateway.runtime.listen import find_strange_groups
from gateway.runtime.routes import lint
from gateway.settings import Problem, Settings, SettingsProblems, find, load, place, warnings

Found = tuple[tuple[Problem, ...], tuple[Problem, ...]]
"""Problems, and warnings."""


def check(config: Path | None, environ: Mapping[str, str], *, as_json: bool, needs_upstream: bool = True) -> int:
    """Print every problem and warning; returns the exit code."""
    path = find(environ, config)
    cautions: tuple[Problem, ...] = ()
    redirect_uri = ""
    try:
        settings = load(path, environ, needs_upstream=needs_upstream)
        redirect_uri = settings.redirect_uri
        problems, cautions = _inspect(settings, in_process=not needs_upstream)
    except SettingsProblems as error:
        problems = error.problems
    if as_json:
        return print_document({"redirect_uri": redirect_uri}, problems=problems, warnings=cautions)
    for problem in problems:
        print(problem, file=sys.stderr)
    for caution in cautions:
        print(f"warning: {caution}", file=sys.stderr)
    if any(problem.key == "upstream" and problem.message.startswith("is missing") for problem in problems):
        print("with `protect(app)`, no upstream is needed: gateway check --middleware", file=sys.stderr)
    if problems:
        return 1
    print(f"{path or 'the environment'}: settings are fine")
    print(f"redirect URI to register at TikTok: {redirect_uri}")
    return 0


def _inspect(settings: Settings, *, in_process: bool) -> Found:
    """Look at what the settings name: extras, files of allow-lists and of the brand, the certificate."""
    problems, cautions = inspect_certificate(settings)
    problems += find_missing_extras(settings)
    cautions = (*warnings(settings, in_process=in_process), *find_strange_groups(settings), *cautions)
    try:
        cautions = (*cautions, *lint(settings))
    except SettingsError as error:  # an allow-list's file
        problems += read_problems(error)
    try:
        open_pages(settings)
        cautions = (*cautions, *find_unfinished(settings))
    except SettingsProblems as error:  # what the brand's folder has
        problems += error.problems
    return problems, cautions


def inspect_certificate(settings: Settings) -> Found:
    """Return what is wrong with the certificate so that TLS cannot be spoken, and what besides."""
    if settings.tls is None:
        return (), ()
    faults = find_faults(settings.tls, settings.public_url)
    told = [(fault.usable, place(settings, *name_fault(settings.tls, fault))) for fault in faults]
    return tuple(each for usable, each in told if not usable), tuple(each for usable, each in told if usable)
