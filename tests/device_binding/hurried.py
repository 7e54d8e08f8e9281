"""`gateway run` in a hurry: a proof may last for a second, so that tests see fifty of them end."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

from gateway.cli.entry import main

LASTS = timedelta(seconds=1)
SLACK = timedelta(seconds=2)
"""For clocks that differ, a minute otherwise; and for requests that were under way when a session was bound."""

if __name__ == "__main__":
    with (
        patch("gateway.settings.session.SHORTEST_PROOF", LASTS),
        patch("gateway.core.device_binding.SKEW", SLACK),
        patch("gateway.flows.device_proofs.GRACE", SLACK),
    ):
        main()
