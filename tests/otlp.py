"""A receiver of traces (OTLP over HTTP), as a process of its own: writes each span that it gets as a line of JSON.

python -m tests.otlp PORT FILE
"""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.ports import free_port
from tests.waiting import wait_for

KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class Span:
    """What a test looks at."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    service: str
    raw: str


@dataclass(frozen=True)
class Receiver:
    """One that runs."""

    url: str
    file: Path

    def spans(self) -> list[Span]:
        """Return all that have come so far."""
        lines = self.file.read_text().split("\n")[:-1] if self.file.exists() else []
        return [Span(**json.loads(line), raw=line) for line in lines]

    def wait_for(self, name: str, number: int = 1) -> list[Span]:
        """Return the spans of a name, once there are so many."""
        wait_for(lambda: len(self.named(name)) >= number, f"{number} of {name}")
        return self.named(name)

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans() if span.name == name]


@contextlib.contextmanager
def receive_traces(folder: Path) -> Generator[Receiver]:
    """Run a receiver until the test ends it."""
    port, file = free_port(), folder / "spans"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.otlp", str(port), str(file)], cwd=Path(__file__).parents[1]
    )
    try:
        wait_for(file.exists, "the receiver of traces is ready")
        yield Receiver(f"http://127.0.0.1:{port}", file)
    finally:
        process.kill()
        process.wait(timeout=10)


def _read(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


class _Handler(BaseHTTPRequestHandler):
    file: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(body)
        with self.file.open("a") as file:
            for part in request.resource_spans:
                service = _read(part.resource.attributes)["service.name"]
                for scope in part.scope_spans:
                    for span in scope.spans:
                        file.write(json.dumps(_describe(span, service)) + "\n")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _describe(span: Any, service: str) -> dict[str, Any]:
    assert not span.events, "exceptions have words, which stay in the log"
    return {
        "name": span.name,
        "kind": KINDS[span.kind],
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "attributes": _read(span.attributes),
        "failed": span.status.code == 2,
        "service": service,
    }


if __name__ == "__main__":
    _Handler.file = Path(sys.argv[2])
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    _Handler.file.touch()
    server.serve_forever()
