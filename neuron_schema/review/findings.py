"""What a review finds, as frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from neuron_schema.catalog import ObjectName
    from neuron_schema.review.measures import VersionMeasure


class Severity(enum.StrEnum):
    """How bad a finding is, the worst first."""

    BLOCKING = "blocking"
    """Use of an existing table stops for work that grows with it, or it fails on data."""

    CAUTION = "caution"
    """A short ACCESS EXCLUSIVE, the previous release breaks, data are lost, a lossy ``down``."""

    NOTE = "note"
    """All else."""

    @property
    def rank(self) -> int:
        """Orders them: 0 is the worst."""
        return SEVERITIES.index(self)


SEVERITIES: Final = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixModule:
    """A version module that is ready to be used.

    Attributes:
        file_name: ``005_embedding.py``.
        source: Its text.
    """

    file_name: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Version modules to be used instead of one, and what was measured of them.

    Attributes:
        summary: What is done, in a few words: ``split into 005 and 006``.
        modules: In order.
        measures: Of each module, on the same schema with the same rows.
        left: What is blocking in the modules still, each in its version.
    """

    summary: str
    modules: tuple[FixModule, ...]
    measures: tuple[VersionMeasure, ...]
    left: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One hazard of one version.

    Attributes:
        hazard: The id under which ``explain`` tells of it.
        version: The version's digits.
        statement: The number of the statement, from 1; None for the version as a whole.
        object: What is concerned, or None.
        sentence: What happens, with the names; it stands alone.
        reasons: What was measured that shows it, sentences.
        remedy: What to do instead.
        fix: The remedy as modules, run on the same server, where it could be written.
        accepted: The reason with which the version accepts it, or None.
    """

    hazard: str
    severity: Severity
    version: str
    statement: int | None
    object: ObjectName | None
    sentence: str
    reasons: tuple[str, ...] = ()
    remedy: str = ""
    fix: Fix | None = None
    accepted: str | None = None
