"""Runnable comparisons. Numbers mean nothing without what they were run on: each command prints that too."""
