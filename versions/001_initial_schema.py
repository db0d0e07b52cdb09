"""Initial schema: nodes, the edges between them, and the settings.

Ids come from ``uuid_generate_v4()``, so the extension ``uuid-ossp`` comes first.
"""

from sqlalchemy import (
    ARRAY,
    UUID,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from neuron_schema.ops import CreateExtension, DropExtension

metadata = MetaData()

nodes = Table(
    "nodes",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("slug", String(255), unique=True, nullable=False),
    Column("label", String(500), nullable=False),
    Column("node_type", String(100), nullable=False, server_default="concept"),
    Column("domain", String(100), nullable=False, server_default="general"),
    Column("summary", Text),
    Column("description", Text),
    Column("content", Text),
    Column("metadata", JSONB, server_default="{}"),
    Column("tier", String(20)),
    Column("visual_priority", Integer, server_default=text("50")),
    Column("position_override", ARRAY(Double)),
    Column("connection_count", Integer, server_default=text("0")),
    Column("inbound_count", Integer, server_default=text("0")),
    Column("outbound_count", Integer, server_default=text("0")),
    Column("analysis_status", String(20), server_default="pending"),
    Column("analysis_error", Text),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
)

edges = Table(
    "edges",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("from_node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), nullable=False),
    Column("to_node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), nullable=False),
    Column("relationship_type", String(100), nullable=False, server_default="related_to"),
    Column("strength", Double, server_default=text("0.5")),
    Column("confidence", Double, server_default=text("1.0")),
    Column("evidence", JSONB, server_default="[]"),
    Column("label", String(255)),
    Column("description", Text),
    Column("metadata", JSONB, server_default="{}"),
    Column("source", String(20), nullable=False, server_default="manual"),
    Column("source_model", String(100)),
    Column("bidirectional", Boolean, server_default=false()),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
    UniqueConstraint("from_node_id", "to_node_id", "relationship_type"),
)

settings = Table(
    "settings",
    metadata,
    Column("id", String(50), primary_key=True, server_default="default"),
    Column("visualization", JSONB, server_default="{}"),
    Column("analysis", JSONB, server_default="{}"),
    Column("node_types", JSONB, server_default="[]"),
    Column("domains", JSONB, server_default="[]"),
    Column("relationship_types", JSONB, server_default="[]"),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
)

up = [
    CreateExtension("uuid-ossp", if_not_exists=True),
    CreateTable(nodes),
    CreateTable(edges),
    CreateTable(settings),
    CreateIndex(Index("idx_nodes_slug", nodes.c.slug)),
    CreateIndex(Index("idx_nodes_domain", nodes.c.domain)),
    CreateIndex(Index("idx_nodes_node_type", nodes.c.node_type)),
    CreateIndex(Index("idx_nodes_analysis_status", nodes.c.analysis_status)),
    CreateIndex(Index("idx_edges_from_node", edges.c.from_node_id)),
    CreateIndex(Index("idx_edges_to_node", edges.c.to_node_id)),
    CreateIndex(Index("idx_edges_type", edges.c.relationship_type)),
]

down = [
    DropTable(settings, if_exists=True),
    DropTable(edges, if_exists=True),
    DropTable(nodes, if_exists=True),
    DropExtension("uuid-ossp", if_exists=True),
]
