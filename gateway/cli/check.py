"""`gateway check`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.cli.document import print_document, read_problems
from gateway.errors import SettingsError
from gateway.runtime.extras import find_missing_extras
from gateway.runtime.routes import lint
from gateway.settings import Problem, SettingsProblems, find, load, warnings


def check(config: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print every problem and warning; returns the exit code."""
    path = find(environ, config)
    cautions: tuple[Problem, ...] = ()
    redirect_uri = ""
    try:
        settings = load(path, environ)
        redirect_uri = settings.redirect_uri
        problems = find_missing_extras(settings)
        cautions = (*warnings(settings), *lint(settings))
    except SettingsProblems as error:
        problems = error.problems
    except SettingsError as error:  # an allow-list's file
        if not redirect_uri:
            raise
        problems = read_problems(error)
    if as_json:
        return print_document({"redirect_uri": redirect_uri}, problems=problems, warnings=cautions)
    for problem in problems:
        print(problem, file=sys.stderr)
    for caution in cautions:
        print(f"warning: {caution}", file=sys.stderr)
    if problems:
        return 1
    print(f"{path or 'the environment'}: settings are fine")
    print(f"redirect URI to register at TikTok: {redirect_uri}")
    return 0
