"""Wiring: the one place that knows every layer. Settings go in, a running gateway comes out.

build        from settings to a generation: the composition root
wiring/      its steps, a file for each
generation   one gateway, and its end
life         what is open or runs, so that all of it is closed
readiness    whether requests can be answered now

routes       from settings to the policy
upstreams    from settings to what connects to the app
values       from settings to the values of the core
extras       what the settings need that may not be installed
allow_file   an allow-list in a file, read again when it changes
store_watch  waits for Redis when a gateway starts

serve        `gateway run`: what one process does, from its start to its orderly end
listen       its sockets
http_server  uvicorn with our protocol
signals      what has it end
workers      several such processes
boards       the numbers that they share

lifespan     start and end inside somebody else's server
plain_end    settings that cannot be used, told plainly there

doctor       `gateway doctor`
oversight    `gateway sessions`, `gateway grants`
sample_app   the app of `gateway demo`
"""
