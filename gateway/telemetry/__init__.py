"""What the gateway tells its operator: logs and metrics. Never a token, a code, a state, a cookie or a secret."""
