"""Wiring: the one place that knows every layer. Settings go in, a running gateway comes out.

build        from settings to a generation: the composition root
wiring/      its steps, a file for each
generation   one gateway, and its end
life         what is open or runs, so that all of it is closed
readiness    whether requests can be answered now

routes       from settings to the policy
upstreams    from settings to what connects to the app
brand        from settings and files to the pages
values       from settings to the values of the core
extras       what the settings need that may not be installed
allow_file   an allow-list in a file, read again when it changes
late_provider  TikTok, whose client is loaded when it is needed
counted      refreshes are counted
store_watch  waits for Redis when a gateway starts

current      the generation in force, and those before it
reload       when settings are read anew, and whether they come into force
source       where they come from
changed_files  whether files have another content than before
fleet        reloads of several workers: all change, or none
member       what one of them knows of that

serve        `gateway run`: what one process does, from its start to its orderly end
listeners    everything that it listens on, and the stages by which a connection comes to HTTP
listen       its sockets
certificate  its own, for TLS, read again when the files change
http_server  uvicorn with our protocol
signals      what has it end
systemd      what it hands over, and is told
pulse        whether all processes serve and live
workers      several such processes
boards       the numbers that they share

protecting   a gateway around an app in this process
lifespan     start and end inside somebody else's server
plain_end    settings that cannot be used, told plainly there

doctor       `gateway doctor`
device_front   what it asks of the way to the gateway, where sessions are bound to devices
oversight    `gateway sessions`, `gateway grants`
sample_app   the app of `gateway demo`
"""
