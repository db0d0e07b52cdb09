"""Reports of reviews, made by hand: one with all that there can be, an empty, a huge one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neuron_schema.catalog import (
    Action,
    Change,
    Column,
    Constraint,
    Index,
    Kind,
    ObjectName,
    References,
    Relation,
    Snapshot,
)
from neuron_schema.model import Direction
from neuron_schema.proof.cycle import Failure, Phase
from neuron_schema.proof.rows import Loss
from neuron_schema.proof.seed import Unseeded
from neuron_schema.proof.verify import Proof
from neuron_schema.review.findings import Finding, Fix, FixModule, Severity
from neuron_schema.review.locks import LockMode
from neuron_schema.review.measures import (
    Failed,
    IndexBuild,
    Measure,
    Scan,
    StatementMeasure,
    TableLock,
    VersionMeasure,
    Written,
)
from neuron_schema.review.render import Help
from neuron_schema.review.report import Novelty, ReviewedVersion, ReviewReport, ServerVersions
from neuron_schema.review.stats import Stats, TableStats
from neuron_schema.schemafile.diagram import diagram, mermaid

NODES = ObjectName(kind=Kind.TABLE, schema="public", name="nodes")
EDGES = ObjectName(kind=Kind.TABLE, schema="public", name="edges")
EMBEDDING = ObjectName(kind=Kind.COLUMN, schema="public", parent="nodes", name="embedding")
INDEX = ObjectName(kind=Kind.INDEX, schema="public", parent="nodes", name="idx_nodes_embedding")

HELPS = {
    "create-index-blocking": Help(
        title="An index is built without CONCURRENTLY",
        text="Writes of the table wait until the index is built. Build it with concurrently=True, "
        "in a version of its own.",
        uri="https://www.postgresql.org/docs/current/sql-createindex.html",
    )
}


def lock(table: ObjectName, mode: LockMode, **more: Any) -> TableLock:
    """Return a lock that a second session has tried."""
    return TableLock(table=table, mode=mode, blocks=mode.blocks, **more)


def added(column: ObjectName, kind: str) -> Change:
    """Return a change: a column that is new."""
    return Change(
        object=column, action=Action.ADDED, before=None, after=Column(name=column.name, type=kind)
    )


def statement(number: int, sql: str, shipped: Measure | None, **more: Any) -> StatementMeasure:
    """Return what a statement did."""
    return StatementMeasure(number=number, sql=sql, shipped=shipped, **more)


def measured(version: str, *statements: StatementMeasure, **more: Any) -> VersionMeasure:
    """Return what a version did, in one transaction."""
    return VersionMeasure(version=version, transactional=True, statements=statements, **more)


ADD_COLUMN = "ALTER TABLE nodes ADD COLUMN embedding vector(1536)"
CREATE_INDEX = (
    "CREATE INDEX idx_nodes_embedding ON nodes USING hnsw (embedding vector_cosine_ops) "
    "WITH (m = 16, ef_construction = 64)"
)
_BUILD = IndexBuild(index=INDEX, method="hnsw")
_SCAN = Scan(table=NODES, times=1)


def embedding_measure() -> VersionMeasure:
    """Return what a new column and its index in one transaction do."""
    exclusive = lock(NODES, LockMode.ACCESS_EXCLUSIVE)
    built = Measure(
        locks=(lock(NODES, LockMode.SHARE),),
        built=(_BUILD,),
        scans=(_SCAN,),
        wal_bytes=123_456_789,
        said=('building index "idx_nodes_embedding" on table "nodes" serially',),
    )
    return measured(
        "005",
        statement(1, ADD_COLUMN, Measure(locks=(exclusive,)), alone=Measure(locks=(exclusive,))),
        statement(2, CREATE_INDEX, replace(built, held=(exclusive,)), alone=built),
    )


def _fix() -> Fix:
    concurrent = Measure(
        locks=(lock(NODES, LockMode.SHARE_UPDATE_EXCLUSIVE),), built=(_BUILD,), scans=(_SCAN,)
    )
    return Fix(
        summary="split into 005 and 006",
        modules=(
            FixModule(
                file_name="005_embedding.py",
                source='"""Embeddings: one vector per node."""\n\n'
                "up = [AddColumn(nodes.c.embedding)]\n"
                "down = [DropColumn(nodes.c.embedding)]\n",
            ),
            FixModule(
                file_name="006_embedding_index.py",
                source='"""Embeddings: an index for similarity."""\n\n'
                "up = [CreateIndex(idx_nodes_embedding)]  # concurrently\n"
                "down = [DropIndex(idx_nodes_embedding)]\n",
            ),
        ),
        measures=(
            measured(
                "005",
                statement(1, ADD_COLUMN, Measure(locks=(lock(NODES, LockMode.ACCESS_EXCLUSIVE),))),
            ),
            VersionMeasure(
                version="006",
                transactional=False,
                statements=(
                    statement(
                        1,
                        CREATE_INDEX.replace("INDEX", "INDEX CONCURRENTLY", 1),
                        concurrent,
                        concurrent=True,
                    ),
                ),
            ),
        ),
    )


def _embedding() -> ReviewedVersion:
    return ReviewedVersion(
        version="005",
        name="embedding",
        description="Embeddings: one vector per node, indexed for cosine similarity.",
        novelty=Novelty.NEW,
        path="versions/005_embedding.py",
        lines=(31, 32),
        up=(ADD_COLUMN, CREATE_INDEX),
        down=(
            "DROP INDEX idx_nodes_embedding -- goes with the column",
            "ALTER TABLE nodes DROP COLUMN embedding",
        ),
        irreversible=None,
        measure=embedding_measure(),
        changes=(
            added(EMBEDDING, "public.vector(1536)"),
            Change(
                object=INDEX,
                action=Action.ADDED,
                before=None,
                after=Index(
                    name=INDEX.name,
                    definition=f"CREATE INDEX {INDEX.name} ON public.nodes USING hnsw",
                    method="hnsw",
                ),
            ),
        ),
        proof=Proof(
            version="005",
            name="embedding",
            losses=(
                Loss(
                    direction=Direction.DOWN,
                    object="public.nodes.embedding",
                    what="the column is dropped with its values",
                ),
            ),
        ),
        findings=(
            Finding(
                hazard="create-index-blocking",
                severity=Severity.BLOCKING,
                version="005",
                statement=2,
                object=INDEX,
                sentence="Reads and writes of public.nodes stop while the index "
                "idx_nodes_embedding (hnsw) is built over all its rows.",
                reasons=(
                    "Alone the statement takes SHARE on public.nodes: a second session could "
                    "read, and could not write.",
                    "Statement 1 has taken ACCESS EXCLUSIVE in the same transaction, and it is "
                    "held until the commit: reads stop as well.",
                    'The server said: building index "idx_nodes_embedding" on table "nodes" '
                    "serially",
                ),
                remedy="Add the column in one version, and build the index with "
                "concurrently=True in the next.",
                fix=_fix(),
            ),
            Finding(
                hazard="down-loses-data",
                severity=Severity.NOTE,
                version="005",
                statement=None,
                object=EMBEDDING,
                sentence="Rolling back 005 drops public.nodes.embedding with its values.",
            ),
        ),
    )


def _names() -> ReviewedVersion:
    """Return a version of which nearly everything went wrong."""
    column = ObjectName(kind=Kind.COLUMN, schema="public", parent="edges", name="weight")
    view = ObjectName(kind=Kind.VIEW, schema="public", name="heavy_edges")
    exclusive = lock(EDGES, LockMode.ACCESS_EXCLUSIVE)
    changed = Change(
        object=column,
        action=Action.CHANGED,
        before=Column(name="weight", type="integer"),
        after=Column(name="weight", type="bigint", not_null=True),
    )
    return ReviewedVersion(
        version="006",
        name="weights",
        description="Weights as bigint.",
        novelty=Novelty.EDITED,
        path="versions/006_weights.py",
        lines=(12, 14, 16, 18),
        up=(
            "ALTER TABLE edges ALTER COLUMN weight TYPE bigint",
            "UPDATE edges SET weight = 0 WHERE weight IS NULL",
            "ALTER TABLE edges ALTER COLUMN weight SET NOT NULL",
            "DROP TABLE heavy CASCADE",
        ),
        down=None,
        irreversible="bigint does not fit into integer",
        measure=measured(
            "006",
            statement(
                1,
                "ALTER TABLE edges ALTER COLUMN weight TYPE bigint",
                Measure(
                    locks=(exclusive,),
                    rewritten=(EDGES,),
                    scans=(Scan(table=EDGES, times=1, why='rewriting table "edges"'),),
                    built=(
                        IndexBuild(
                            index=replace(INDEX, parent="edges", name="edges_pkey"),
                            method="btree",
                            rebuilt=True,
                        ),
                    ),
                ),
            ),
            statement(
                2,
                "UPDATE edges SET weight = 0 WHERE weight IS NULL",
                Measure(
                    locks=(lock(NODES, LockMode.ROW_SHARE),),
                    held=(exclusive,),
                    written=(Written(table=EDGES, updated=2),),
                ),
            ),
            statement(
                3,
                "ALTER TABLE edges ALTER COLUMN weight SET NOT NULL",
                Measure(
                    held=(exclusive,),
                    cascaded=(view,),
                    failed=Failed(
                        sqlstate="23502",
                        message='column "weight" of relation "edges" contains null values',
                        rows_only=True,
                    ),
                ),
            ),
            statement(4, "DROP TABLE heavy CASCADE", None),
            unmeasured=("Statement 4 starts a function in C.",),
        ),
        changes=(changed,),
        proof=Proof(
            version="006",
            name="weights",
            irreversible="bigint does not fit into integer",
            failures=(
                Failure(
                    phase=Phase.UP,
                    message='column "weight" of relation "edges" contains null values',
                    where="versions/006_weights.py",
                    rows_only=True,
                ),
            ),
            residue=(changed,),
            unseeded=(Unseeded(table="public.log", why="its trigger refuses rows"),),
            without=("004_broken",),
        ),
        findings=(
            Finding(
                hazard="table-rewrite",
                severity=Severity.BLOCKING,
                version="006",
                statement=1,
                object=EDGES,
                sentence="Reads and writes of public.edges stop while all its rows are written "
                "anew: integer -> bigint.",
                remedy="Add a new column and fill it with Backfill.",
            ),
            Finding(
                hazard="edited-applied-version",
                severity=Severity.CAUTION,
                version="006",
                statement=None,
                object=None,
                sentence="006_weights is edited, and may have been applied somewhere.",
            ),
            Finding(
                hazard="bulk-write",
                severity=Severity.CAUTION,
                version="006",
                statement=2,
                object=EDGES,
                sentence="All rows of public.edges are updated in one transaction.",
                accepted="the table is empty until launch",
            ),
        ),
    )


def tables() -> tuple[Relation, ...]:
    """Return tables that refer to each other and to themselves."""
    key = Constraint(name="nodes_pkey", type="primary key", definition="", columns=("id",))
    nodes = Relation(
        kind=Kind.TABLE,
        schema="public",
        name="nodes",
        columns=(
            Column(name="id", type="uuid", not_null=True),
            Column(name="parent_id", type="uuid"),
            Column(name="title", type="character varying(200)", not_null=True),
            Column(name="embedding", type="public.vector(1536)"),
        ),
        constraints=(key, _reference("parent_id")),
    )
    edges = Relation(
        kind=Kind.TABLE,
        schema="public",
        name="edges",
        columns=(
            Column(name="source_id", type="uuid", not_null=True),
            Column(name="target_id", type="uuid", not_null=True),
            Column(name="weight", type="bigint", not_null=True),
        ),
        constraints=(_reference("source_id"), _reference("target_id")),
    )
    return edges, nodes


def _reference(column: str) -> Constraint:
    return Constraint(
        name=f"fk_{column}",
        type="foreign key",
        definition="",
        columns=(column,),
        references=References(schema="public", table="nodes", columns=("id",)),
    )


def drawn(*relations: Relation) -> str:
    """Return tables as Mermaid."""
    return mermaid(diagram(Snapshot(objects=relations, server_major=18)))


def rich() -> ReviewReport:
    """Return a report with all that there can be."""
    return ReviewReport(
        compared_with="origin/main (1a2b3c4)",
        versions=(_embedding(), _names()),
        before=4,
        server=ServerVersions(server="18.4", extensions=(("vector", "0.8.5"),)),
        diagram=drawn(*tables()),
        tables=tables(),
        unmeasured=("The extension postgis is not there.",),
        stats=Stats(
            taken_on="2026-11-20",
            tables={"public.nodes": TableStats(rows=1_200_000, bytes=9_770_000_000)},
        ),
    )


def empty() -> ReviewReport:
    """Return a report of no version."""
    return ReviewReport(
        compared_with="versions after 004",
        versions=(),
        before=4,
        server=ServerVersions(server="16.14", embedded=False),
    )


def clean() -> ReviewReport:
    """Return a report of one version that makes a table, and harms nobody."""
    version = replace(
        _embedding(),
        measure=measured("005", statement(1, "CREATE TABLE t ()", Measure())),
        up=("CREATE TABLE t ()",),
        down=(),
        lines=(9,),
        changes=(),
        proof=Proof(version="005", name="embedding"),
        findings=(),
    )
    return replace(rich(), versions=(version,), unmeasured=(), tables=(), diagram="", stats=None)


def with_new_table() -> ReviewReport:
    """Return a report of one version that makes a table."""
    edges, nodes = tables()
    name = ObjectName(kind=Kind.TABLE, schema=edges.schema, name=edges.name)
    change = Change(object=name, action=Action.ADDED, before=None, after=edges)
    version = replace(clean().versions[0], changes=(change,))
    return replace(clean(), versions=(version,), tables=(edges, nodes), diagram=drawn(edges, nodes))


def with_text(text: str) -> ReviewReport:
    """Return a report in which a text stands wherever one from elsewhere can."""
    name = text or " "
    table = ObjectName(kind=Kind.TABLE, schema=name, name=name)
    column = ObjectName(kind=Kind.COLUMN, schema=name, parent=name, name=name)
    exclusive = TableLock(
        table=table,
        mode=LockMode.ACCESS_EXCLUSIVE,
        blocks=LockMode.ACCESS_EXCLUSIVE.blocks,
        proven=False,
        named=False,
    )
    did = Measure(
        locks=(exclusive,),
        rewritten=(table,),
        built=(IndexBuild(index=replace(column, kind=Kind.INDEX), method="btree"),),
        scans=(Scan(table=table, times=2, why=text),),
        cascaded=(column,),
        failed=Failed(sqlstate="P0001", message=text, rows_only=True),
    )
    change = added(column, text)
    measure = measured("007", statement(1, text, did), unmeasured=(text,))
    finding = Finding(
        hazard="down-loses-data",
        severity=Severity.CAUTION,
        version="007",
        statement=1,
        object=column,
        sentence=text,
        reasons=(text, f"x {text} y"),
        remedy=text,
        fix=Fix(
            summary=text,
            modules=(FixModule(file_name=f"{name}.py", source=text),),
            measures=(measure,),
            left=(
                Finding(
                    hazard="opaque-ddl",
                    severity=Severity.BLOCKING,
                    version="007",
                    statement=None,
                    object=column,
                    sentence=text,
                ),
            ),
        ),
    )
    relation = Relation(
        kind=Kind.TABLE,
        schema=name,
        name=name,
        columns=(Column(name=name, type=text),),
    )
    version = ReviewedVersion(
        version="007",
        name=name,
        description=text,
        novelty=Novelty.NEW,
        path=f"versions/007_{name}.py",
        lines=(3,),
        up=(text,),
        down=(text, text),
        irreversible=text,
        measure=measure,
        changes=(change,),
        proof=Proof(
            version="007",
            name=name,
            failures=(Failure(phase=Phase.DOWN, message=text),),
            residue=(change,),
            validated=(change,),
            divergence=(change,),
            losses=(Loss(direction=Direction.DOWN, object=name, what=text),),
            unseeded=(Unseeded(table=name, why=text),),
            without=(name,),
        ),
        findings=(finding, replace(finding, accepted=text, severity=Severity.NOTE)),
    )
    return ReviewReport(
        compared_with=text,
        versions=(version,),
        before=1,
        server=ServerVersions(server=text, extensions=((name, text),)),
        diagram=drawn(relation),
        tables=(relation,),
        unmeasured=(text,),
        stats=Stats(taken_on=text, tables={str(table): TableStats(rows=1, bytes=1)}),
    )


HOSTILE = (
    '|a|b| `c` ``d`` <script>alert(1)</script> </details></code></pre> &amp; "q""q" @mention #1 '
    "!2 $x$ ~l %m GH-12 https://evil.example www.evil.example a@b.example [x](javascript:y) ![i](j)"
    " *b* _u_ ~~s~~ \\| \\` \u202edir\u2066 \x1b[31m \x00 \r\n\n# heading\n- item\n```\nfence\n"
    "~~~\n| - |\n<!-- comment --> ]]> ::error::x %0A {0} {{y}} 0123456789abcdef"
)
"""All that is something to a renderer, in one text."""


def hostile() -> ReviewReport:
    """Return a report of names, SQL and messages that want to break out."""
    return with_text(HOSTILE)


def huge(findings: int = 400, *, versions: int = 60) -> ReviewReport:
    """Return a report that no comment can hold."""
    one = _embedding()
    many = tuple(
        replace(
            one,
            version=f"{number:03}",
            name=f"step_{number}",
            measure=replace(embedding_measure(), version=f"{number:03}"),
            proof=Proof(version=f"{number:03}", name=f"step_{number}"),
            findings=tuple(
                replace(
                    finding,
                    version=f"{number:03}",
                    object=replace(INDEX, name=f"i{number}_{place}"),
                    severity=list(Severity)[place % 3],
                )
                for place in range(findings // versions + 1)
                for finding in one.findings[:1]
            ),
        )
        for number in range(5, 5 + versions)
    )
    return replace(rich(), versions=many, unmeasured=tuple(f"Thing {n}." for n in range(2000)))
