"""Fairlead's linear heads and Q-head guidance inside vLLM."""

__version__ = "0.2.0"
