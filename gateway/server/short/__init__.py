"""The short way of a request: from the parser to the upstream and back, without ASGI in between.

protocol      the strict protocol, with the short way
entry         takes requests for it
header_block  reads header blocks of the plain kind, line by line
recurring     keeps what comes again, in bounds
learned       what was found out before about header blocks and request lines
exchange      one request, and its answer
request_body  its body
client        the client's connection, as it sees it
websocket     from a request to a WebSocket
lane          what all requests share: the way to each upstream, the log, the metrics
"""
