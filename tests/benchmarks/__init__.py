"""The tools that measure: what they say must be so."""
