"""What is behind the gate.

apps            an app in this process, or none; how a route finds its app
proxied_app     an upstream, as a reverse proxy has it
event_delivery  webhooks on their way to the app
asked           a request, as an app and its framework name it
user            a person, as Starlette knows them
visit           a request, as an app in this process may ask about it
current         the functions by which an ASGI app asks who that is
links           those by which any app has addresses of the gateway's pages
errors          those by which its error handlers answer as the gateway does
"""
