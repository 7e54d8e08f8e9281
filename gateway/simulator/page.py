"""The look of the simulator's pages."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 8vh auto; padding: 0 1.2rem; }}
h1 {{ font-size: 1.35rem; }} fieldset {{ border: 1px solid #8886; border-radius: .6rem; margin: 0 0 1rem; }}
label {{ display: block; padding: .3rem 0; }} .note {{ opacity: .75; font-size: .9rem; }}
h2 {{ font: 600 .95rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; margin: 2rem 0 .3rem; }}
dl {{ font: .85rem/1.5 ui-monospace, monospace; margin: 0; overflow-wrap: anywhere; }}
dt {{ opacity: .75; }} dd {{ margin: 0 0 0 1.5rem; }}
button {{ font: inherit; padding: .6rem 1.4rem; border-radius: .5rem; border: 1px solid #8888; cursor: pointer; }}
button.main {{ background: #111; color: #fff; }}
@media (prefers-color-scheme: dark) {{ button.main {{ background: #fff; color: #111; }} }}
</style></head><body><main>{body}</main></body></html>"""
"""Takes `title` and `body`, which is HTML."""
