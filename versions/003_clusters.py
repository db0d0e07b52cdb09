"""Clusters: groups of similar nodes, and which nodes belong to them."""

from pgvector.sqlalchemy import Vector
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
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from neuron_schema.ops import AddColumn, DropColumn

metadata = MetaData()

clusters = Table(
    "clusters",
    metadata,
    Column("id", UUID, primary_key=True, server_default=func.uuid_generate_v4()),
    Column("label", String(255), nullable=False),
    Column("cluster_type", String(100), server_default="topic"),
    Column("centroid", Vector(1536)),
    Column("member_count", Integer, server_default=text("0")),
    Column("avg_similarity", Double),
    Column("cohesion", Double),
    Column("description", Text),
    Column("keywords", ARRAY(Text), server_default="{}"),
    Column("metadata", JSONB, server_default="{}"),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), server_default=func.now()),
    Column("last_recomputed_at", DateTime(timezone=True)),
)

# The key that foreign keys point at, and what this version adds.
nodes = Table(
    "nodes",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("cluster_id", UUID, ForeignKey(clusters.c.id, ondelete="SET NULL")),
    Column("cluster_similarity", Double),
)

cluster_memberships = Table(
    "cluster_memberships",
    metadata,
    Column("node_id", UUID, ForeignKey(nodes.c.id, ondelete="CASCADE"), primary_key=True),
    Column("cluster_id", UUID, ForeignKey(clusters.c.id, ondelete="CASCADE"), primary_key=True),
    Column("similarity_score", Double, nullable=False),
    Column("is_primary", Boolean, server_default=false()),
    Column("assigned_at", DateTime(timezone=True), server_default=func.now()),
)

up = [
    CreateTable(clusters),
    CreateTable(cluster_memberships),
    AddColumn(nodes.c.cluster_id),
    AddColumn(nodes.c.cluster_similarity),
    CreateIndex(Index("idx_cluster_memberships_cluster", cluster_memberships.c.cluster_id)),
    CreateIndex(Index("idx_nodes_cluster", nodes.c.cluster_id)),
]

# Whatever refers to clusters goes before clusters: PostgreSQL drops no table that a foreign key
# still points at.
down = [
    DropTable(cluster_memberships, if_exists=True),
    DropColumn(nodes.c.cluster_id, if_exists=True),
    DropColumn(nodes.c.cluster_similarity, if_exists=True),
    DropTable(clusters, if_exists=True),
]
