"""Hazards of pgvector's types and indexes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.changes import Action
from neuron_schema.catalog.model import Column, Index, ObjectName, Relation, part_name
from neuron_schema.review.findings import Severity
from neuron_schema.review.hazards.columns import GENERAL, rewrites
from neuron_schema.review.hazards.facts import (
    is_new,
    ran,
    relation_after,
    statement_of,
    touched,
)
from neuron_schema.review.hazards.indexes import VECTOR_METHODS, builds, remedy_where_partitioned
from neuron_schema.review.hazards.model import Hazard, example, source
from neuron_schema.review.hazards.types import is_vector, retyped, type_change, vector_of
from neuron_schema.review.hazards.wording import (
    amount,
    finding,
    listed,
    named,
    reasons,
    size_of,
    sized,
    stop_of,
    table_name,
    table_of,
    why,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuron_schema.catalog import Change
    from neuron_schema.review.case import Case
    from neuron_schema.review.findings import Finding
    from neuron_schema.review.hazards.facts import Ran

_PGVECTOR: Final = "https://github.com/pgvector/pgvector"
_TOO_MANY: Final = re.compile(r"cannot have more than (\d+) dimensions for (\w+) index")
_NO_DIMENSIONS: Final = "column does not have dimensions"
_CAST: Final = re.compile(r"::(?:\w+\.)?(vector|halfvec)\((\d+)\)")
_DEFAULT_M: Final = 16
_DEFAULT_LISTS: Final = 100
_DEFAULT_MEMORY: Final = 64 * 2**20
# Each element of the graph keeps at least 2 * m neighbours in the lowest layer.
_NEIGHBOUR_BYTES: Final = 16
_BYTES: Final = {"vector": 4, "halfvec": 2}
_UNITS: Final = {"kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def _blocking(case: Case) -> Iterator[Finding]:
    for each, one in builds(case, rebuilt=False):
        if one.method in VECTOR_METHODS:
            growth = ", which grows faster than the rows" if one.method == "hnsw" else ""
            yield finding(
                case,
                "vector-index-blocking",
                Severity.BLOCKING,
                one.index,
                f"{stop_of(case, each, one.index)} for the whole build of the {one.method} index "
                f"{named(one.index)}{growth}{why(case, each, one.index)}",
                statement=each.number,
                reasons=reasons(case, each, one.index),
                remedy=remedy_where_partitioned(case, one.index),
            )


def _failed(case: Case, sqlstate: str, *words: str) -> Iterator[tuple[Ran, str]]:
    for each in ran(case):
        failed = each.measure.failed
        if failed is None or failed.sqlstate != sqlstate:
            continue
        if all(word in failed.message for word in words):
            yield each, failed.message


def _dimensions(case: Case) -> Iterator[Finding]:
    for each, message in _failed(case, "54000", "dimensions for"):
        found = _TOO_MANY.search(message)
        if found is None:
            continue
        yield finding(
            case,
            "vector-index-dims",
            Severity.BLOCKING,
            None,
            f"Statement {each.number} fails, on an empty table as well: an {found[2]} index takes "
            f"at most {int(found[1]):,} dimensions of this type",
            statement=each.number,
            reasons=(f"PostgreSQL refused with 54000: {message}",),
        )


def _without(case: Case) -> Iterator[Finding]:
    for each, message in _failed(case, "22023", _NO_DIMENSIONS):
        yield finding(
            case,
            "vector-index-no-dims",
            Severity.BLOCKING,
            None,
            f"Statement {each.number} fails, on an empty table as well: it indexes a vector column "
            "without a number of dimensions",
            statement=each.number,
            reasons=(f"PostgreSQL refused with 22023: {message}",),
        )


def _memory(case: Case) -> Iterator[Finding]:
    given = dict(case.migration.settings).get("maintenance_work_mem")
    memory = _size(given) if given is not None else _DEFAULT_MEMORY
    for each in ran(case):
        for one in each.measure.built:
            size = size_of(case, one.index)
            least = _least(case, one.index)
            if one.method != "hnsw" or size is None or least is None:
                continue
            needed = size.rows * least
            if needed <= memory:
                continue
            held = (
                f"the version gives it {given}"
                if given is not None
                else "the version leaves maintenance_work_mem to the server, whose default is 64 MB"
            )
            yield finding(
                case,
                "vector-build-memory",
                Severity.NOTE,
                one.index,
                f"The graph of {named(one.index)} over {sized(case, one.index)} takes at least "
                f"{amount(needed)}, and {held}: what does not fit is built many times more slowly",
                statement=each.number,
                reasons=(f"at least {least:,} bytes for each of {size.rows:,} rows",),
            )


def _size(text: str) -> int:
    return int(text[:-2]) * _UNITS[text[-2:]]


def _least(case: Case, name: ObjectName) -> int | None:
    """Return how many bytes one row takes in an HNSW graph at the least, or None."""
    relation = relation_after(case, name)
    index = (
        next((each for each in relation.indexes if each.name == name.name), None)
        if relation
        else None
    )
    if relation is None or index is None:
        return None
    found = _vector_in(relation, index)
    if found is None or found[1] is None:
        return None
    bytes_ = _BYTES.get(found[0], 0) * found[1]
    return bytes_ + 2 * _option(index, "m", _DEFAULT_M) * _NEIGHBOUR_BYTES if bytes_ else None


def _vector_in(relation: Relation, index: Index) -> tuple[str, int | None] | None:
    """Return the type that an index is on, a cast of an expression included."""
    name = index.columns[0] if index.columns else None
    if name is None:
        cast = _CAST.search(index.definition)
        return (cast[1], int(cast[2])) if cast else None
    column = next((each for each in relation.columns if each.name == name), None)
    return vector_of(column.type) if isinstance(column, Column) else None


def _option(index: Index, name: str, default: int) -> int:
    given = dict(each.split("=", 1) for each in index.options if "=" in each)
    return int(given[name]) if given.get(name, "").isdigit() else default


def _too_early(case: Case) -> Iterator[Finding]:
    for relation, index, new in _new_indexes(case):
        if index.method != "ivfflat":
            continue
        name = part_name(index, relation)
        lists = _option(index, "lists", _DEFAULT_LISTS)
        size = size_of(case, name)
        if not new and (size is None or size.rows >= lists):
            continue
        each = statement_of(case, name)
        rows = "has no rows yet" if new else f"has about {size.rows:,}" if size else ""
        yield finding(
            case,
            "vector-ivfflat-no-data",
            Severity.NOTE,
            name,
            f"The ivfflat index {named(name)} finds its {lists:,} lists among the rows that are "
            f"there, and {table_name(name)} {rows}: what comes later is found badly",
            statement=each.number if each is not None else None,
            reasons=(f"the index has lists={lists}",),
        )


def _new_indexes(case: Case) -> Iterator[tuple[Relation, Index, bool]]:
    """Yield the indexes that the version makes, and whether their table is new too."""
    for change in case.changes:
        after = change.after
        if change.action is not Action.ADDED:
            continue
        if isinstance(after, Relation):
            yield from ((after, index, True) for index in after.indexes)
        elif isinstance(after, Index):
            relation = relation_after(case, change.object)
            if relation is not None:
                yield relation, after, is_new(case, change.object)


def _other_dimensions(change: Change) -> bool:
    """Whether no vector can be of both types."""
    sides = [vector_of(getattr(side, "type", "")) for side in (change.before, change.after)]
    dims = [side[1] for side in sides if side is not None and side[1] is not None]
    return len(dims) == 2 and dims[0] != dims[1]  # noqa: PLR2004 - before and after


def _resized(case: Case) -> Iterator[Finding]:
    for change in case.changes:
        if not is_vector(change) or not _other_dimensions(change):
            continue
        each = _failing(case) or statement_of(case, change.object)
        yield finding(
            case,
            "vector-change-dim",
            Severity.BLOCKING,
            change.object,
            f"{type_change(change)}: no vector that is there fits, so the version fails where the "
            "table has rows",
            statement=each.number if each is not None else None,
            reasons=reasons(case, each, table_of(change.object)) if each is not None else (),
        )


def _failing(case: Case) -> Ran | None:
    return next((each for each in ran(case) if each.measure.failed is not None), None)


def _rewritten(case: Case) -> Iterator[Finding]:
    for each, table in rewrites(case):
        changes = [
            change
            for change in touched(case, each, table, retyped(case, table))
            if is_vector(change) and not _other_dimensions(change)
        ]
        if changes:
            built = [one.index.name for one in each.measure.built if one.method in VECTOR_METHODS]
            graphs = f", with the vector index {listed(built)}" if built else ""
            yield finding(
                case,
                "vector-type-change",
                Severity.BLOCKING,
                changes[0].object,
                f"{stop_of(case, each, table)} while every row is written anew and its indexes are "
                f"built again{graphs}: {listed(map(type_change, changes))}",
                statement=each.number,
                reasons=reasons(case, each, table),
            )


def _docs(dimensions: str) -> str:
    return source(
        "Documents and their embeddings",
        f"""
docs = Table(
    "docs",
    MetaData(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("embedding", {dimensions}),
)

up = [CreateExtension("vector", if_not_exists=True), CreateTable(docs)]
down = [DropTable(docs), DropExtension("vector")]
""",
    )


def _index(options: str = "", column: str = "Vector(3)", method: str = "hnsw") -> str:
    return source(
        "Find documents that are alike",
        f"""
docs = Table("docs", MetaData(), Column("embedding", {column}))
index = Index(
    "idx_docs_embedding",
    docs.c.embedding,
    postgresql_using="{method}",
    postgresql_ops={{"embedding": "vector_cosine_ops"}},{options}
)

up = [CreateIndex(index)]
down = [DropIndex(index)]
""",
    )


_CONCURRENTLY: Final = "\n    postgresql_concurrently=True,"
_HALF: Final = source(
    "Find documents that are alike",
    """
up = [
    Sql("CREATE TABLE halves (id bigint PRIMARY KEY, embedding vector(3072))"),
    Sql(
        "CREATE INDEX idx_halves_embedding ON halves "
        "USING hnsw ((embedding::halfvec(3072)) halfvec_cosine_ops)"
    ),
]
down = [Sql("DROP TABLE halves")]
""",
)


def _alter(new: str, down: str) -> str:
    return source(
        "Documents have other embeddings",
        f"""
docs = Table("docs", MetaData(), Column("embedding", Vector(3)))

up = [AlterColumn(docs.c.embedding, type_={new})]
down = [AlterColumn(docs.c.embedding, type_={down})]
""",
    )


_BESIDE: Final = source(
    "Documents have other embeddings beside the old ones",
    """
docs = Table("docs", MetaData(), Column("embedding_2", Vector(4)))

up = [AddColumn(docs.c.embedding_2)]
down = [DropColumn(docs.c.embedding_2)]
""",
)
_MILLIONS: Final = (("public.docs", 2_000_000, 2**34),)

HAZARDS: Final = (
    Hazard(
        id="vector-index-blocking",
        title="A vector index built while nobody can write",
        condition="An HNSW or IVFFlat index is built on an existing table without CONCURRENTLY.",
        effect="Writes wait for the whole build, which for HNSW takes hours where there are "
        "millions of rows. Where an earlier statement of the version holds ACCESS EXCLUSIVE on the "
        "table, such as the one that adds the column, reads wait as well.",
        remedy="Build it CONCURRENTLY (Index(..., postgresql_concurrently=True)) in a version of "
        "its own, after the column is there and filled, with enough maintenance_work_mem in "
        "`settings`",
        page=f"{_PGVECTOR}#index-build-time",
        bad=example(_index(), base=_docs("Vector(3)")),
        good=example(_index(_CONCURRENTLY), base=_docs("Vector(3)")),
        check=_blocking,
        covers=GENERAL,
    ),
    Hazard(
        id="vector-index-dims",
        title="More dimensions than a vector index takes",
        condition="An HNSW or IVFFlat index on a vector of more than 2,000 dimensions, or a "
        "halfvec of more than 4,000.",
        effect="pgvector refuses, on an empty table as well: the version fails.",
        remedy='Index the column as halfvec: Index(..., text("(embedding::halfvec(3072)) '
        'halfvec_cosine_ops")); or take embeddings with fewer dimensions',
        page=f"{_PGVECTOR}#half-precision-indexing",
        bad=example(_index(column="Vector(3072)"), base=_docs("Vector(3072)")),
        good=example(_HALF, base=_docs("Vector(3072)")),
        check=_dimensions,
        covers=frozenset({"statement-fails"}),
    ),
    Hazard(
        id="vector-index-no-dims",
        title="A vector index on a column without dimensions",
        condition="An HNSW or IVFFlat index on a column that is vector, and not vector(n).",
        effect="pgvector refuses, on an empty table as well: the version fails.",
        remedy="Give the column its dimensions, or index an expression with them: "
        "((embedding::vector(3)) vector_l2_ops)",
        page=f"{_PGVECTOR}#frequently-asked-questions",
        bad=example(_index(column="Vector"), base=_docs("Vector")),
        good=example(
            source(
                "Find documents that are alike",
                """
up = [
    Sql("CREATE TABLE threes (id bigint PRIMARY KEY, embedding vector)"),
    Sql(
        "CREATE INDEX idx_threes_embedding ON threes "
        "USING hnsw ((embedding::vector(3)) vector_l2_ops)"
    ),
]
down = [Sql("DROP TABLE threes")]
""",
            ),
            base=_docs("Vector"),
        ),
        check=_without,
        covers=frozenset({"statement-fails"}),
    ),
    Hazard(
        id="vector-build-memory",
        title="An HNSW graph larger than maintenance_work_mem",
        condition="An HNSW index is built on a table whose rows, by --stats, take more memory as a "
        "graph than the version or PostgreSQL's default gives it. What is told is the least: the "
        "vectors, and their neighbours in the lowest layer.",
        effect="What does not fit is built many times more slowly.",
        remedy='settings = {"maintenance_work_mem": "8GB"} in the version module, as much as the '
        "server has to spare",
        page=f"{_PGVECTOR}#index-build-time",
        bad=example(_index(_CONCURRENTLY), base=_docs("Vector(3)"), sizes=_MILLIONS),
        good=example(
            _index(_CONCURRENTLY) + '\nsettings = {"maintenance_work_mem": "8GB"}\n',
            base=_docs("Vector(3)"),
            sizes=_MILLIONS,
        ),
        check=_memory,
    ),
    Hazard(
        id="vector-ivfflat-no-data",
        title="An IVFFlat index built before there are rows",
        condition="An IVFFlat index is made on a table that the same version makes, or that by "
        "--stats has fewer rows than the index has lists.",
        effect="Its lists are the centres of the rows that are there when it is built: of few or "
        "none it makes bad ones, and queries miss what they should find.",
        remedy="Load the rows first and build the index in a later version; or use HNSW, which "
        "needs none",
        page=f"{_PGVECTOR}#ivfflat",
        bad=example(
            source(
                "Notes that are found by likeness",
                """
notes = Table("notes", MetaData(), Column("embedding", Vector(3)))
index = Index(
    "idx_notes_embedding",
    notes.c.embedding,
    postgresql_using="ivfflat",
    postgresql_ops={"embedding": "vector_cosine_ops"},
)

up = [CreateTable(notes), CreateIndex(index)]
down = [DropTable(notes)]
""",
            ),
            base=_docs("Vector(3)"),
        ),
        good=example(
            _index(_CONCURRENTLY, method="ivfflat"), base=_docs("Vector(3)"), sizes=_MILLIONS
        ),
        check=_too_early,
    ),
    Hazard(
        id="vector-change-dim",
        title="A vector column gets other dimensions",
        condition="ALTER COLUMN TYPE from vector(n) to vector(m).",
        effect="No vector that is there fits: the version fails where the table has rows, after it "
        "began to write it anew under ACCESS EXCLUSIVE. Other dimensions mean another model, whose "
        "embeddings have to be computed.",
        remedy="Add a column for the new embeddings, fill it (BackfillRows), index it "
        "CONCURRENTLY, read it, and drop the old one in a later version",
        page=f"{_PGVECTOR}#frequently-asked-questions",
        bad=example(_alter("Vector(4)", "Vector(3)"), base=_docs("Vector(3)")),
        good=example(_BESIDE, base=_docs("Vector(3)")),
        check=_resized,
        covers=GENERAL,
    ),
    Hazard(
        id="vector-type-change",
        title="A vector column becomes another vector type",
        condition="ALTER COLUMN TYPE between vector, halfvec and sparsevec, or from vector to "
        "vector(n). From vector(n) to vector there is no rewrite.",
        effect="The table and all its indexes, HNSW included, are written anew under ACCESS "
        "EXCLUSIVE: nobody reads or writes it for as long as the graphs take.",
        remedy="Index an expression instead, ((embedding::halfvec(1536)) halfvec_cosine_ops), "
        "CONCURRENTLY; or add a column of the new type and fill it with a Backfill",
        page=f"{_PGVECTOR}#half-precision-vectors",
        bad=example(_alter("HALFVEC(3)", "Vector(3)"), base=_docs("Vector(3)")),
        good=example(_alter("Vector()", "Vector(3)"), base=_docs("Vector(3)")),
        check=_rewritten,
        covers=GENERAL,
    ),
)
