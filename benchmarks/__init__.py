"""How fast is it, beside other proxies? `python -m benchmarks` measures, `--help` says what.

options    the command line
scenarios  what is measured
peers      the proxies, as entries of a table: how to get, configure and sign in to each
stage      what stands round them: app, Redis, OpenID provider, TikTok simulator
servers    the small servers among these
load       what asks: small requests, bodies, sockets that sit there
seed       many people's sessions in Redis
turns      rounds in which each target has its turn, and ratios within them
process    programs, each kept to one core: their CPU, their memory, their end
machine    what it was run on
report     Markdown tables; plot: charts
reload     besides: whether anything is cut while settings change, and whether memory stays flat
fronts     besides, what it costs nginx to ask the gateway
tls        besides, what TLS costs
builds     besides, other Pythons, and the gateway compiled
hot_path   besides, without sockets: Python's own share of a request
cold_path  besides, the same of people who were not seen lately, step by step
"""
