"""Reads SQL text: what a statement does, to which objects, and whether they are there."""
