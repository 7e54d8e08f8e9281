"""The short way of a request: from the parser to the upstream and back, without ASGI in between.

ASGI costs a task, two queues and a dozen calls a request. Here, `protocol` has a whole request in one read, or the
parser's word for it. `header_block` says who asks, `learned` where to, both mostly from memory, by the exact bytes. If
the sender has a permit for the route, `exchange` joins a request head from lines that are ready, takes an idle
connection from the pool and writes it, all in the same call; else `admission` has the gate say, from its own memory or
the store. What the upstream connection reads is written to the client's transport as it comes (`answering`), the
request is told in one line, and the connection waits for the next one. What is not plainly of this kind is left to the
parser, what the parser's head cannot be let in for to the ASGI app; so whatever is refused is refused there, in one
place.

    protocol       the strict protocol, with the short way: hands requests to `entry`, or to the parser or the app
    entry          takes requests for it, or leaves them
    header_block   reads header blocks of the plain kind, line by line
    recurring      keeps what comes again, in bounds
    learned        what was found out before about header blocks and request lines
    permit         what lets a sender's requests through on a route, for a while
    admission      lets a request in: by a permit, from memory, or when the store has been asked
    exchange       one request, as it is sent: body, connection, second try
    request_body   its body, framed and counted as it comes
    answering      the same request, as it is answered, ends and is told
    answer_writer  how an answer is framed and written
    websocket      from a request to a WebSocket
    client         what they need of the client's connection; `protocol` obeys
    lane           the way to one upstream, and what else all requests share
"""
