"""Our own server: uvicorn's HTTP protocol made strict, and a short way for the common request.

protocol     one client connection: limits, timers, refusals
strictness   what is refused of a request head before anybody judges it
cycle        a request that the ASGI app answers
connections  how many an address may have, and who looks at the clock for them
memory       gives back what a flood has left
short/       the short way, from the parser to the upstream and back
"""
