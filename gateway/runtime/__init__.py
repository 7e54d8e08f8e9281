"""Wiring: the one place that knows every layer. Settings go in, a running gateway comes out."""
