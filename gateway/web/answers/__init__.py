"""The gateway's own answers: a page for a person, a problem (RFC 9457) for a program.

answer           an answer as a value, its security headers (CSP and the like), and how it is sent
site             the public address; where a sign-in may lead (no open redirect)
answers          challenges, refusals, redirects, CORS
error_pages      what went wrong, as a page or a problem
pages            the templates (`templates/`), filled
qr_drawing       a QR code as an image within a page
views            what they show, as values; foreign text made fit for a line
languages        their texts in other languages (`languages/`, gettext)
catalogue        one of these to fill in, and what an operator's own lacks
brand            whose site it is: name, logo, links, own templates
colour           its accent, made fit to be read
static_files     what lies beside the pages (`static/`), by the hash of its bytes
samples          every page once, with made-up values
trial            an operator's templates, tried with them
browser_cookies  the session cookie and those that bind a sign-in to its browser
address_bar      takes TikTok's answer out of the browser's history where a sign-in fails
"""
