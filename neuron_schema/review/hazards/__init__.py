"""The hazards that a review knows, and what judges a version by them."""

from neuron_schema.review.hazards.judging import judge
from neuron_schema.review.hazards.model import Example, Hazard
from neuron_schema.review.hazards.registry import GROUPS, HAZARDS

__all__ = ["GROUPS", "HAZARDS", "Example", "Hazard", "judge"]
