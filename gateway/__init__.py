"""Sign in with TikTok in front of any web app.

Importing the package imports nothing else: commands and applications pay only for what they use.
"""

__version__ = "0.1.0"
