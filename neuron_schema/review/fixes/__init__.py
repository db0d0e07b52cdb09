"""Remedies as version modules that are ready to be used, and have been run."""

from neuron_schema.review.fixes.proposal import Proposal
from neuron_schema.review.fixes.proposing import REMEDIED, propose

__all__ = ["REMEDIED", "Proposal", "propose"]
