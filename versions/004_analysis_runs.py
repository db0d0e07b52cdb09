"""Analysis runs: what was analysed, how far it got and what came of it."""

from sqlalchemy import (
    UUID,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

analysis_runs = Table(
    "analysis_runs",
    MetaData(),
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("run_type", String(50), nullable=False),
    Column("input_params", JSONB, server_default="{}"),
    Column("results", JSONB, server_default="{}"),
    Column("status", String(20), nullable=False, server_default="queued"),
    Column("progress", Integer, server_default=text("0")),
    Column("started_at", DateTime(timezone=True)),
    Column("completed_at", DateTime(timezone=True)),
    Column("duration_ms", Integer),
    Column("error_message", Text),
    Column("error_stack", Text),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
)

up = [
    CreateTable(analysis_runs),
    CreateIndex(Index("idx_analysis_runs_status", analysis_runs.c.status)),
    CreateIndex(Index("idx_analysis_runs_created", analysis_runs.c.created_at.desc())),
]

down = [
    DropTable(analysis_runs, if_exists=True),
]
