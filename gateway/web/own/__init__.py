"""The gateway's own paths, under its prefix.

endpoints   the table: path and method → handler
reading     what a handler reads of its request
sign_in     sign_in, start, callback
account     account, userinfo, sign_out, refresh, disconnect
kept_post   a form that was sent without a session, to be sent again
webhook     TikTok's events
"""
