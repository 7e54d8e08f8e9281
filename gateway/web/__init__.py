"""HTTP as ASGI and WSGI: requests are read for the flows, and what the flows say is answered.

pipeline        the one way of every request, whatever the door: a page of ours, in, or an answer
asgi_head       from an ASGI scope to a `RequestHead`; the keys under which it is handed on
exchange        what the log and the metrics tell of one request and its answer
traced          spans of a request, where tracing is on
body_limit      bodies that are too large (413); the reading of a whole one
middleware      the door of ASGI: the proxy's, and that of an app in this process
wsgi/           the door of WSGI
forward_auth/   the door of fronts, which serve the request themselves
behind/         what is behind the gate: an upstream, an app in this process, or nothing
answers/        the gateway's own answers, and the pages that people see
table           path → method → handler: how the following two lead to their answers
own/            the gateway's own paths, under its prefix
admin/          the operator's listener
"""
