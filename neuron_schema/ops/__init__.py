"""The DDL that SQLAlchemy lacks, and nothing that it has.

Each class mirrors the words of its SQL, quotes identifiers through SQLAlchemy's preparer, and takes
SQLAlchemy objects where they carry the facts, names where they do not. A name is one identifier:
``"app.users"`` is a table with a dot in its name. For another schema pass a ``Table`` or
``sqlalchemy.table("users", schema="app")``. Conditions, ``using=`` and types take an SQLAlchemy
expression or SQL text; text is sent as it stands (``%`` and ``:name`` mean nothing to us).

What SQLAlchemy has, and is used beside these:

==========================================  ====================================================
SQL                                         SQLAlchemy
==========================================  ====================================================
CREATE / DROP TABLE, INDEX, SCHEMA,         ``sqlalchemy.schema.CreateTable``, ``CreateIndex``,
SEQUENCE                                    ``CreateSchema``, ``CreateSequence``, ``Drop...``
CREATE / DROP VIEW, CREATE TABLE AS         ``sqlalchemy.schema.CreateView``, ``DropView``,
                                            ``CreateTableAs``
CREATE / DROP TYPE ... AS ENUM, DOMAIN      ``sqlalchemy.dialects.postgresql.CreateEnumType``,
                                            ``CreateDomainType``, ``Drop...``
CREATE INDEX CONCURRENTLY                   ``Index(..., postgresql_concurrently=True)``
CREATE INDEX ... USING hnsw                 ``Index(..., postgresql_using="hnsw",
                                            postgresql_with=..., postgresql_ops=...)``
ADD / DROP CONSTRAINT                       ``sqlalchemy.schema.AddConstraint``,
                                            ``DropConstraint``
ADD CONSTRAINT ... CHECK / FOREIGN KEY      ``CheckConstraint`` or ``ForeignKeyConstraint`` with
NOT VALID                                   ``postgresql_not_valid=True``, in ``AddConstraint``
COMMENT ON                                  ``SetTableComment``, ``SetColumnComment``,
                                            ``SetConstraintComment``
==========================================  ====================================================

``AddConstraint(constraint)`` marks the constraint, so that neither CREATE TABLE nor ``AddColumn``
renders it as well; ``AddConstraint(constraint, isolate_from_table=False)`` leaves it unmarked.
"""

from __future__ import annotations

from neuron_schema.ops.alter_column import AlterColumn
from neuron_schema.ops.backfill import Backfill, BackfillRows
from neuron_schema.ops.base import Operation
from neuron_schema.ops.column import AddColumn, DropColumn
from neuron_schema.ops.column_storage import SetStatistics, SetStorage
from neuron_schema.ops.constraint import AddConstraintUsingIndex, AddNotNull, ValidateConstraint
from neuron_schema.ops.enums import AddEnumValue, RenameEnumValue
from neuron_schema.ops.extension import CreateExtension, DropExtension
from neuron_schema.ops.function import (
    CreateFunction,
    CreateProcedure,
    DropFunction,
    DropProcedure,
)
from neuron_schema.ops.maintenance import Reindex, Vacuum
from neuron_schema.ops.partition import AttachPartition, CreatePartition, DetachPartition
from neuron_schema.ops.privilege import Grant, Revoke
from neuron_schema.ops.rename import RenameColumn, RenameConstraint, RenameIndex, RenameTable
from neuron_schema.ops.row_security import (
    CreatePolicy,
    DisableRowSecurity,
    DropPolicy,
    EnableRowSecurity,
    ForceRowSecurity,
    NoForceRowSecurity,
)
from neuron_schema.ops.sql import Irreversible, Sql, irreversible
from neuron_schema.ops.trigger import CreateTrigger, DropTrigger

__all__ = [
    "AddColumn",
    "AddConstraintUsingIndex",
    "AddEnumValue",
    "AddNotNull",
    "AlterColumn",
    "AttachPartition",
    "Backfill",
    "BackfillRows",
    "CreateExtension",
    "CreateFunction",
    "CreatePartition",
    "CreatePolicy",
    "CreateProcedure",
    "CreateTrigger",
    "DetachPartition",
    "DisableRowSecurity",
    "DropColumn",
    "DropExtension",
    "DropFunction",
    "DropPolicy",
    "DropProcedure",
    "DropTrigger",
    "EnableRowSecurity",
    "ForceRowSecurity",
    "Grant",
    "Irreversible",
    "NoForceRowSecurity",
    "Operation",
    "Reindex",
    "RenameColumn",
    "RenameConstraint",
    "RenameEnumValue",
    "RenameIndex",
    "RenameTable",
    "Revoke",
    "SetStatistics",
    "SetStorage",
    "Sql",
    "Vacuum",
    "ValidateConstraint",
    "irreversible",
]
