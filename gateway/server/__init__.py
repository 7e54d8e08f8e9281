"""Our own server: uvicorn's HTTP protocol made strict, and a short way for the common request.

protocol       one client connection: limits, timers, refusals
fast_protocol  the same, with the short way
connections    how many an address may have, and who looks at the clock for them
fast_path      takes requests for the short way
block          reads header blocks of the plain kind, line by line
memo           keeps what comes again, in bounds
known          what was found out before about header blocks and request lines
fast_exchange  one request on the short way
request_body   its body
client         the client's connection, as it sees it
switch         from a request to a WebSocket
lane           what they share: the way to each upstream, the log, the metrics
"""
