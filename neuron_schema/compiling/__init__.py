"""Turns the elements of a version into SQL text, without a connection."""
