"""The door of WSGI (PEP 3333): the same gate, asked from the server's thread.

middleware   the WSGI app around the app
environ      from an environ to a `RequestHead`
body         bodies, in and out
user         a person, for code that awaits nothing
current      the functions by which an app asks who somebody is
loop         the event loop in a thread of its own, where the gate lives
"""
