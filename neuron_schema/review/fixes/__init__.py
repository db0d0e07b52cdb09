"""Remedies as version modules that are ready to be used, and have been run."""

from neuron_schema.review.fixes.proposal import Proposal
from neuron_schema.review.fixes.proposing import REMEDIED, propose
from neuron_schema.review.fixes.trying import try_all, try_out

__all__ = ["REMEDIED", "Proposal", "propose", "try_all", "try_out"]
