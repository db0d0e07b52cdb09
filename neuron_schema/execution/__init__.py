"""Runs plans: one step after the other, each tried until it is done or the deadline is over."""
