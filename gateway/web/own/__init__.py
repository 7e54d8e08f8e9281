"""The gateway's own paths, under its prefix.

endpoints     the tables of all pages, as one ASGI app
sign_in       sign_in, start, callback
qr            qr, qr/status: a code for a phone to scan
account       account, userinfo, sign_out, refresh, disconnect (CSRF: by POST, from our own pages only)
device        device/register, device/refresh: browsers bind sessions to their devices (DBSC)
kept_post     a form that was sent without a session, to be sent again
webhook       TikTok's events
ownership     files by which TikTok is shown whose the site is; outside of the prefix
asker         who asks for them, for the audit trail
for_programs  livez, readyz, jwks.json, static files
reading       what a handler reads of its request: parameters, forms
home          pages that are shown at the public address only
"""
