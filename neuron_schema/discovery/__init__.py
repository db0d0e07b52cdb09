"""Finds version modules, loads and validates them, and remembers unchanged ones."""
