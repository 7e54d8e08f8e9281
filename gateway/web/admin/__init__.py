"""The operator's listener.

listener    health, readiness, metrics; asked for by names that are ours only (DNS rebinding)
scraping    metrics alone, where there is no such listener
reload      settings, read anew
api         sessions, grants and tokens, for programs with a key
key         what they show of themselves
operations  the table of what it takes and answers
openapi     the same, described for machines

pages       the same for people, with a browser
door        who is there, and whether it is they who act
frame       what all pages have in common
notice      what they say was just done
entrance    sign-in and sign-out
people      sessions and grants
state       how the gateway is, what has come of things, and its settings
views       templates, filled
acts        what ends sessions and grants, and says so in the log
"""
