"""`gateway doctor` (diagnostics): is all there that the gateway leans on, and what is to be registered at TikTok?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.cli.check import inspect_certificate
from gateway.cli.document import print_document
from gateway.core.finding import Finding
from gateway.printable import escape_controls
from gateway.runtime.doctor import describe_registration, examine, review
from gateway.runtime.routes import lint
from gateway.settings import Problem, Settings, find, load, warnings


def doctor(config: Path | None, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print what is found; returns the exit code, 1 when something must be mended."""
    settings = load(find(environ, config), environ, needs_upstream=False)
    findings = asyncio.run(_examine(settings, as_json=as_json))
    registration = {name: value for name, value in describe_registration(settings).items() if value}
    unusable, more = inspect_certificate(settings)
    cautions = (*warnings(settings, in_process=settings.is_for_middleware), *lint(settings), *more)
    items = review(settings)
    problems = [*unusable, *(_describe(finding) for finding in findings if finding.must_be_mended)]
    if as_json:
        told = {"findings": findings, "registration": registration, "review": items}
        print_document(told, problems=problems, warnings=cautions)
    else:
        for each in unusable:
            print(f"PROBLEM  {each}")
        for caution in cautions:
            print(f"warning  {caution}")
        print("\nTo be registered at TikTok:")
        for name, value in registration.items():
            print(f"  {name.replace('_', ' ')}: {value}")
        print("\nThe authorization url must show TikTok's consent page: what is wrong with key, address or scopes")
        print("is told there, and nowhere else.")
        print("\nFor TikTok's app review (docs/tiktok.md):")
        for item in items:
            print(escape_controls(f"  {item.mark.upper():<8} {item.name}: {item.text}"))
    return 1 if problems else 0


def _describe(finding: Finding) -> Problem:
    return Problem("", finding.name, f"{finding.found} -> {finding.advice}")


async def _examine(settings: Settings, *, as_json: bool) -> list[Finding]:
    findings = []
    if settings.is_for_middleware and not as_json:
        print("ok       app: in the same process, as `protect(app)` has it; `gateway run` would need an `upstream`")
    async for finding in examine(settings):
        findings.append(finding)
        if not as_json:  # each as it comes: some take their time
            mark = "ok     " if finding.ok else "PROBLEM" if finding.must_be_mended else "warning"
            advice = f" -> {finding.advice}" if finding.advice else ""
            # Redis and TikTok may say anything
            print(escape_controls(f"{mark}  {finding.name}: {finding.found}{advice}"), flush=True)
    return findings
