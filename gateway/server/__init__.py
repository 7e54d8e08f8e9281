"""Our own server: uvicorn's HTTP protocol made strict, and a short way for the common request.

protocol           reads requests, refuses what two programs could read in two ways, hands the rest to the app
strictness         what that is, in a head (request smuggling, desync)
refusal            how it is refused
arriving           a connection before it speaks HTTP
announced          one that a balancer makes for somebody else (PROXY protocol)
tls                TLS, as a transport over the event loop's
overlay            what such a transport leaves to the one below
records            where its records end, so that they can be counted
client_connection  the life of one client connection: timers (slowloris), what waits, a gentle end
connections        all of them: how many an address may have, and who looks at the clock for them
cycle              a request that the ASGI app answers
trim               gives back what a flood has left
short/             the short way of a request, from the parser to the upstream and back
"""
