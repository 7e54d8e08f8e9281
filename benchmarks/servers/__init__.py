"""What stands round the proxies: the app behind them, an OpenID provider, and the textbook proxy itself."""
