"""What the gateway tells its operator: logs and metrics. Never a token, a code, a state, a cookie or a secret.

logs     events, one line each (structlog)
unhurried  the pipe that they go to, for whose reader nobody waits
audit    who did what, in the log or a file of its own
metrics  counters and durations (Prometheus)
traces   spans (OpenTelemetry), imported only where they are asked for
access_logs  those of servers around us: no code and no state of a callback
board    the numbers behind them, in memory that the worker processes share
"""
