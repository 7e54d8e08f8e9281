"""The short way of a request: from the parser to the upstream and back, without ASGI in between.

ASGI costs a task, two queues and a dozen calls a request. Here, `reading` looks whether a whole head came in one read.
`header_block` says who asks and `learned` where to, both mostly from memory, by the exact bytes; a request of another
kind, as with a chunked body, is read by the parser, and takes the same way from here on. If the sender has a permit for
the route, `exchange` joins a request head from lines that are ready, takes an idle connection from the pool and writes
to it, all within the call that brought the bytes; if not, `admission` has the gate say, from its memory or the store.
What the upstream answers is written to the client's transport as it comes (`answering`); then the request is told in
the log, and the connection waits for the next one. Whatever cannot be taken so is left to the ASGI app, which judges it
anew. Who decides, and who says no, is the same `Pipeline` on both ways.

A front that asks has no upstream here: it is told yes within the same call (`checks`), and everything else by the app.

asking         the strict protocol where fronts ask: hands checks to `checks`, or to the parser
checks         says yes to them, or leaves them
check_reader   reads who asks, and what about
check_lines    what the lines of a check say
reading        the same, with the short way to upstreams: reads requests by their bytes, or hands them to the parser
protocol       the rest of it: hands requests from the parser to `entry`, or to the app
entry          takes requests for it, or leaves them
sockets_only   leaves all but WebSockets, while requests are traced
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
