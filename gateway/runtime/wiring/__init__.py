"""The steps by which `runtime.build` wires a gateway.

Each takes what it needs as arguments (dependency injection) and returns what it has made, for the next.

records    the store, TikTok, and who is signed in
apps       behind the gate: upstreams, or the app in this process
gate       routes, and who may pass by them; what is under way
flows      sign-in, disconnect, webhooks, jobs, the operator's view
pages      the gateway's own pages and answers
traces     tracing, wrapped round all of that where it is asked for
doors      the ways in: ASGI, the short way, the listeners of fronts and operators
"""
