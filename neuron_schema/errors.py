"""Every error that neuron-schema raises, with its code, its exit status and its remedy.

::

    NeuronSchemaError
    ├── UsageError                     exit 2   NS200
    │   ├── SettingsError                       NS201
    │   ├── AddressError                        NS202
    │   ├── TargetError                         NS203
    │   └── VersionError                        NS210
    ├── StatementFailed                exit 1   NS101
    ├── CommitFailed                   exit 1   NS102
    ├── OperationUnfinished            exit 1   NS103
    ├── TransactionEnded               exit 1   NS104
    ├── OperationTimeout               exit 1   NS105
    ├── InternalError                  exit 1   NS199
    ├── VersionsPending                exit 3   NS301
    ├── HistoryConflict                exit 4   NS400
    │   ├── HistoryTableMisplaced               NS401
    │   ├── HistoryTableMalformed               NS402
    │   └── ChecksumsDiffer                     NS410
    ├── DifferenceFound                exit 5   NS500
    │   ├── VersionUnproven                     NS501
    │   ├── DriftFound                          NS502
    │   ├── SquashUnproven                      NS503
    │   └── SnapshotOutdated                    NS510
    ├── LockNotObtained                exit 6   NS600
    │   ├── RunLockNotObtained                  NS601
    │   └── LockTimeout                         NS602
    ├── ServerUnavailable              exit 7   NS700
    │   ├── ConnectionFailed                    NS701
    │   │   └── ConnectionsExhausted            NS711
    │   ├── PrivilegeMissing                    NS702
    │   ├── ExtensionMissing                    NS703
    │   ├── DriverUnsupported                   NS704
    │   ├── DirectAddressNeeded                 NS705
    │   ├── EmbeddedMissing                     NS706
    │   ├── EmbeddedFailed                      NS707
    │   ├── ServerUnsupported                   NS708
    │   ├── ReadOnlyServer                      NS709
    │   ├── PreflightFailed                     NS710
    │   └── CatalogUnread                       NS720
    ├── FindingsOpen                   exit 8   NS801
    ├── Refused                        exit 9   NS900
    │   ├── IrreversibleVersion                 NS901
    │   ├── ConfirmationNeeded                  NS902
    │   ├── ProtectedDatabase                   NS903
    │   ├── NonEmptyDatabase                    NS904
    │   ├── LogNeeded                           NS905
    │   ├── ObjectsMissing                      NS906
    │   ├── SchemaNotRendered                   NS910
    │   ├── SnapshotUnusable                    NS911
    │   └── SquashRefused                       NS912
    └── Interrupted                    exit 130 / 143   NS130
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from neuron_schema.model import Report


class NeuronSchemaError(Exception):
    """The base of all errors that a user can meet.

    Args:
        message: What is so, with the names.
        remedy: What mends it, as a command or an edit where there is one.
        where: The place, as ``file:line`` or the version concerned.

    Attributes:
        report: What the run had done until then, on an error that ended one.
        sqlstate: PostgreSQL's five-character code, where it was PostgreSQL that refused.
    """

    code: ClassVar[str] = "NS000"
    exit_code: int = 1

    def __init__(
        self, message: str, *, remedy: str | None = None, where: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.where = where
        self.report: Report | None = None
        self.sqlstate: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.message}"]
        if self.where:
            parts.append(f"  at: {self.where}")
        if self.remedy:
            parts.append(f"  fix: {self.remedy}")
        return "\n".join(parts)


class UsageError(NeuronSchemaError):
    """The command or the call was not understood."""

    code = "NS200"
    exit_code = 2


class SettingsError(UsageError):
    """A key, a value or an environment of the settings is wrong."""

    code = "NS201"


class AddressError(UsageError):
    """The database address is none, or cannot be read."""

    code = "NS202"


class TargetError(UsageError):
    """The target names no version, or not one that fits the direction."""

    code = "NS203"


class VersionError(UsageError):
    """A version module is invalid."""

    code = "NS210"


class StatementFailed(NeuronSchemaError):
    """PostgreSQL refused a statement; its version stands as it stood before.

    Attributes:
        statement: The SQL that failed.
        hint: What PostgreSQL itself advises, where it does.
    """

    code = "NS101"

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        where: str | None = None,
        sqlstate: str | None = None,
        statement: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, where=where)
        self.sqlstate = sqlstate
        self.statement = statement
        self.hint = hint


class CommitFailed(NeuronSchemaError):
    """The server answered COMMIT with something else than COMMIT."""

    code = "NS102"


class OperationUnfinished(NeuronSchemaError):
    """An operation that commits on its own did not leave what it was asked for."""

    code = "NS103"


class TransactionEnded(NeuronSchemaError):
    """A statement ended its version's transaction, so that a part of it may be committed."""

    code = "NS104"


class OperationTimeout(NeuronSchemaError):
    """An operation that commits on its own was not done within ``operation_timeout``."""

    code = "NS105"


class InternalError(NeuronSchemaError):
    """A defect of neuron-schema itself."""

    code = "NS199"


class VersionsPending(NeuronSchemaError):
    """Versions wait to be applied, where none may (``status --check``, ``wait``)."""

    code = "NS301"
    exit_code = 3


class HistoryConflict(NeuronSchemaError):
    """Files and history table disagree: modified, missing or out of order."""

    code = "NS400"
    exit_code = 4


class HistoryTableMisplaced(HistoryConflict):
    """The history table stands in another schema than the one looked in."""

    code = "NS401"


class HistoryTableMalformed(HistoryConflict):
    """A relation has the history table's name but not its columns."""

    code = "NS402"


class ChecksumsDiffer(HistoryConflict):
    """The versions are not those that ``checksums.txt`` lists."""

    code = "NS410"


class DifferenceFound(NeuronSchemaError):
    """Two schemas that were compared are not the same."""

    code = "NS500"
    exit_code = 5


class VersionUnproven(DifferenceFound):
    """A version's ``up`` or ``down`` raises, or its ``down`` does not undo its ``up``."""

    code = "NS501"


class DriftFound(DifferenceFound):
    """A database is not what its applied versions make."""

    code = "NS502"


class SquashUnproven(DifferenceFound):
    """A squashed version does not do what the versions that it is to replace do."""

    code = "NS503"


class SnapshotOutdated(DifferenceFound):
    """``schema.sql`` or ``checksums.txt`` is not what the versions make."""

    code = "NS510"


class LockNotObtained(NeuronSchemaError):
    """A lock could not be had before the deadline."""

    code = "NS600"
    exit_code = 6


class RunLockNotObtained(LockNotObtained):
    """Another run held the run lock until the deadline."""

    code = "NS601"


class LockTimeout(LockNotObtained):
    """A statement's lock was not granted in any attempt until the deadline."""

    code = "NS602"


class ServerUnavailable(NeuronSchemaError):
    """The server cannot be used for this."""

    code = "NS700"
    exit_code = 7


class ConnectionFailed(ServerUnavailable):
    """No connection, or it was lost and did not come back before the deadline."""

    code = "NS701"


class ConnectionsExhausted(ConnectionFailed):
    """The server, the database or the role has no connection left (53300)."""

    code = "NS711"


class PrivilegeMissing(ServerUnavailable):
    """The role may not do what a statement asks."""

    code = "NS702"


class ExtensionMissing(ServerUnavailable):
    """The server has no files of an extension that a version creates."""

    code = "NS703"


class DriverUnsupported(ServerUnavailable):
    """The engine is not a synchronous one on psycopg 3."""

    code = "NS704"


class DirectAddressNeeded(ServerUnavailable):
    """An operation that commits on its own cannot run through a pooler."""

    code = "NS705"


class EmbeddedMissing(ServerUnavailable):
    """The extra ``embedded`` is not installed."""

    code = "NS706"


class EmbeddedFailed(ServerUnavailable):
    """The embedded server did not start or stop."""

    code = "NS707"


class ServerUnsupported(ServerUnavailable):
    """The server is too old, or its encoding cannot hold the text."""

    code = "NS708"


class ReadOnlyServer(ServerUnavailable):
    """The session may only read (a standby, or ``default_transaction_read_only``)."""

    code = "NS709"


class PreflightFailed(ServerUnavailable):
    """Several things keep a run from beginning; nothing was run.

    Attributes:
        problems: An error for each of them. Where all have one exit status, it is this one's too.
    """

    code = "NS710"

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        where: str | None = None,
        problems: Sequence[NeuronSchemaError] = (),
    ) -> None:
        super().__init__(message, remedy=remedy, where=where)
        self.problems = tuple(problems)
        statuses = {problem.exit_code for problem in problems}
        if len(statuses) == 1:
            self.exit_code = statuses.pop()


class CatalogUnread(ServerUnavailable):
    """The database holds kinds of objects that a snapshot of its catalog cannot tell of."""

    code = "NS720"


class FindingsOpen(NeuronSchemaError):
    """A review found hazards as bad as ``--fail-on`` says, or worse, that nobody accepted."""

    code = "NS801"
    exit_code = 8


class Refused(NeuronSchemaError):
    """A guard refused; nothing was run."""

    code = "NS900"
    exit_code = 9


class IrreversibleVersion(Refused):
    """A version that would be rolled back declares itself irreversible."""

    code = "NS901"


class ConfirmationNeeded(Refused):
    """A rollback was not confirmed."""

    code = "NS902"


class ProtectedDatabase(Refused):
    """The settings mark this database as protected against rollbacks."""

    code = "NS903"


class NonEmptyDatabase(Refused):
    """There are tables, but no history table that tells what made them."""

    code = "NS904"


class LogNeeded(Refused):
    """A backfill remembers in the log how far it came, and the run was to go without one."""

    code = "NS905"


class ObjectsMissing(Refused):
    """What a version makes is not in the database that is said to have it."""

    code = "NS906"


class SchemaNotRendered(Refused):
    """A schema cannot be written as SQL that loads."""

    code = "NS910"


class SnapshotUnusable(Refused):
    """A database cannot start from ``schema.sql``."""

    code = "NS911"


class SquashRefused(Refused):
    """Versions that cannot become one."""

    code = "NS912"


class Interrupted(NeuronSchemaError):
    """The run was interrupted by a signal.

    Args:
        message: What was rolled back and what stays.
        exit_code: 130 for SIGINT, 143 for SIGTERM.
    """

    code = "NS130"

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        where: str | None = None,
        exit_code: int = 130,
    ) -> None:
        super().__init__(message, remedy=remedy, where=where)
        self.exit_code = exit_code
