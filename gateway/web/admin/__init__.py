"""The operator's listener.

listener   health, readiness, metrics; asked for by names that are ours only (DNS rebinding)
reload     settings, read anew
scraping   metrics alone, where there is no such listener
api        sessions, grants and tokens, for programs with a key
"""
