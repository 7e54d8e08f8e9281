#!/usr/bin/env bash
# xds-protos brings files of opentelemetry-proto's, which pip lets it write over the newer ones of that package.
#
# Two packages of one environment would be expected to keep out of each other's files, or pip to say that they do not.
# Envoy's interfaces (xds-protos) name a few of OpenTelemetry's, so their package has `opentelemetry/proto/` in it, of an
# older version. Neither depends on the other and `pip check` finds nothing; whichever is installed last wins, and after
# xds-protos the OTLP exporter cannot be imported. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"

exporter() {
  "$python" - <<'PYTHON'
try:
    import opentelemetry.exporter.otlp.proto.http.trace_exporter
except ImportError as error:
    print(f"ImportError: {str(error).partition(' (')[0]}")
else:
    print("imported")
PYTHON
}

"$python" -m pip install -q opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-proto==1.45.2
before=$(exporter)
"$python" -m pip install -q xds-protos==1.85.0
after=$(exporter)
checked=$("$python" -m pip check)
"$python" -m pip install -q --force-reinstall --no-deps opentelemetry-proto==1.45.2
again=$(exporter)

echo "opentelemetry-proto 1.45.2, the exporter alone: $before"
echo "xds-protos 1.85.0 besides:                      $after"
echo "pip check:                                      $checked"
echo "opentelemetry-proto installed once more:        $again"
[ "$before" = imported ] && [ "${after%%:*}" = ImportError ] && [ "$checked" = "No broken requirements found." ] &&
  [ "$again" = imported ]
