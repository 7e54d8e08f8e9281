"""From another gateway's configuration to settings of ours: text in, text out; nothing is asked, no secret is repeated.

conversion   the whole of it: what oauth2-proxy is told → a settings file, with a comment wherever one must look
keys         a table of its keys: what each becomes, or why nothing
old          its config file, variables and flags, read by that table
alpha        its structured configuration, read as the same keys
upstreams    its upstreams → ours, each with the paths that it has
patterns     its regular expressions → patterns of routes
routes       who may go where
store        its Redis → ours
sections     the other sections
plan         settings in the making, and how they are written
"""
