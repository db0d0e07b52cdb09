"""What a snapshot asks once it knows names: types, and definitions that are not plain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuron_schema.catalog import composing
from neuron_schema.catalog.others import presence_query
from neuron_schema.catalog.rows import second
from neuron_schema.errors import CatalogUnread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from neuron_schema.catalog.rows import Batch, Row, Rows

_VARCHAR, _TEXT = 1043, 25


@dataclass(frozen=True, slots=True)
class Answers:
    """Names and texts by OID.

    Attributes:
        relations: Schema and name of what has columns or is referenced.
        columns: For each relation the rows of its columns by number; the name is the third value.
        outside: The same for what is referenced without being read; the rows end with the name.
        parents: What a relation or index inherits from, qualified.
        types: By OID and modifier: the text, and the type's own collation and storage.
        collations: Qualified.
        opclasses: Qualified.
        key_columns: The names of an index' columns; None for an expression.
        constraint_columns: The names of a constraint's columns; None for an expression.
        index_definitions: By the index.
        constraint_definitions: By the constraint.
        constraints: Their rows, with those NOT NULLs that are told.
        presences: The rarer catalogs in which there is something.
    """

    relations: Mapping[int, tuple[str, str]]
    columns: Mapping[int, Mapping[int, Row]]
    outside: Mapping[int, Mapping[int, Row]]
    parents: Mapping[int, tuple[str, ...]]
    types: Mapping[tuple[int, int], tuple[str, int, str]]
    collations: Mapping[int, str]
    opclasses: Mapping[int, str]
    key_columns: Mapping[int, tuple[str | None, ...]]
    constraint_columns: Mapping[int, tuple[str | None, ...]]
    index_definitions: Mapping[int, str]
    constraint_definitions: Mapping[int, str]
    constraints: Sequence[Row]
    presences: Sequence[str]

    def columns_of(self, relation: int, numbers: Iterable[int]) -> tuple[str | None, ...]:
        """Return the names of columns; None for an expression, which has number 0."""
        return _names(self.columns.get(relation) or self.outside.get(relation, {}), numbers)


def ask(batch: Batch, rows: Rows) -> Answers:
    """Ask what depends on the first rows, and whatever is left to be asked."""
    columns: dict[int, dict[int, Row]] = {}
    for row in rows["columns"]:
        columns.setdefault(row[0], {})[row[1]] = row
    schemas = rows.scope.schemas
    relations = {row[0]: (schemas[row[1]], row[2]) for row in rows["relations"]}
    outside = _outside(batch, rows, relations)
    plain = Plain.of(rows, relations, {**outside, **columns})
    indexes = {row[0]: plain.index(row) for row in rows["indexes"]}
    constraints = {row[0]: plain.constraint(row) for row in rows["constraints"]}
    indexes.update(rows["index_texts"])
    constraints.update(rows["constraint_texts"])
    constraints.update(dict.fromkeys(row[0] for row in rows["not_nulls"]))
    presences = rows.presences()
    texts = {
        "formats": _types_query({(row[3], row[4]) for row in rows["columns"]}),
        "collations": _collations_query({row[6] for row in rows["columns"]}),
        "more_indexes": _texts_query("pg_get_indexdef", indexes),
        "more_constraints": _texts_query("pg_get_constraintdef", constraints),
        **{each.catalog: presence_query(each, rows.scope) for each in presences},
        **second(rows.scope),
    }
    rows.send(batch, texts)
    indexes.update(rows["more_indexes"])
    constraints.update(rows["more_constraints"])
    return Answers(
        relations=relations,
        columns=columns,
        outside=outside,
        parents={row[0]: tuple(row[1]) for row in rows["inheritance"]},
        types={(row[0], row[1]): row[2:] for row in rows["formats"]},
        collations=dict(rows["collations"]),
        opclasses={row[0]: row[1] for row in rows["opclasses"]},
        key_columns=plain.key_columns,
        constraint_columns=plain.constraint_columns,
        index_definitions=_there(indexes),
        constraint_definitions=_there(constraints),
        constraints=rows["constraints"] + rows["not_nulls"],
        presences=tuple(each.catalog for each in presences),
    )


def _outside(
    batch: Batch, rows: Rows, relations: dict[int, tuple[str, str]]
) -> dict[int, dict[int, Row]]:
    """Add what foreign keys reference outside of the relations, and return its columns.

    It is in other schemas, in extensions, or among our own tables.
    """
    columns: dict[int, dict[int, Row]] = {}
    oids = {row[13] for row in rows["constraints"] if row[13]} - relations.keys()
    if oids:
        (found,) = batch([_columns_query(oids)])
        for oid, number, name, schema, relation in found():
            relations[oid] = (schema, relation)
            columns.setdefault(oid, {})[number] = (oid, number, name)
    return columns


def _columns_query(relations: Iterable[int]) -> str:
    return f"""SELECT c.oid, a.attnum, a.attname, n.nspname, c.relname
FROM {_unnest(relations)} o(oid) JOIN pg_catalog.pg_class c ON c.oid = o.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0"""


@dataclass(frozen=True, slots=True)
class Plain:
    """Words the definitions that have the plain form; None stands for all others.

    Attributes:
        odd: Names that PostgreSQL prints in quotes.
        relations: Schema and name by OID.
        columns: For each relation the rows of its columns by number.
        key_columns: The names of an index' columns; None for an expression.
        constraint_columns: The names of a constraint's columns.
        indexes: The rows.
        opclasses: The rows.
        shapes: Whether an index of such types and operator classes has the plain form.
    """

    odd: frozenset[str]
    relations: Mapping[int, tuple[str, str]]
    columns: Mapping[int, Mapping[int, Row]]
    key_columns: Mapping[int, tuple[str | None, ...]]
    constraint_columns: Mapping[int, tuple[str | None, ...]]
    indexes: Mapping[int, Row]
    opclasses: Mapping[int, Row]
    shapes: dict[tuple[tuple[Row, ...], str, str], bool]

    @classmethod
    def of(
        cls,
        rows: Rows,
        relations: Mapping[int, tuple[str, str]],
        columns: Mapping[int, Mapping[int, Row]],
    ) -> Plain:
        """Return one for the rows of a catalog."""
        names = {row[2] for table in columns.values() for row in table.values()}
        names.update(row[2] for row in rows["indexes"])
        names.update(name for relation in relations.values() for name in relation)
        return cls(
            odd=composing.quoted(names, frozenset(row[0] for row in rows["keywords"])),
            relations=relations,
            columns=columns,
            key_columns={
                row[0]: _names(columns.get(row[1], {}), map(int, row[13].split()))
                for row in rows["indexes"]
            },
            constraint_columns={
                row[0]: _names(columns.get(row[1], {}), row[12] or ())
                for row in rows["constraints"]
            },
            indexes={row[0]: row for row in rows["indexes"]},
            opclasses={row[0]: row for row in rows["opclasses"]},
            shapes={},
        )

    def _prints_bare(self, *names: str | None) -> bool:
        """Return whether none of the names needs quotes; None is no name."""
        return None not in names and self.odd.isdisjoint(names)

    def index(self, row: Row) -> str | None:
        """Word an index, given the row of it."""
        if row[3] != "i" or row[4] != "btree" or row[5] or row[17] or row[11] != row[12]:
            return None
        table = self.relations.get(row[1])
        names = self.key_columns[row[0]]
        if table is None or not self._prints_bare(row[2], *table, *names):
            return None
        known = self.columns[row[1]]
        keys = tuple([known[int(number)][3:7] for number in row[13].split()])
        shape = (keys, row[14], row[15])
        usual = self.shapes.get(shape)
        if usual is None:
            usual = self.shapes[shape] = self._usual(*shape)
        if not usual:
            return None
        return composing.index_definition(row[2], table, names, row[16], unique=row[7])

    def _usual(self, keys: Sequence[Row], opclasses: str, collations: str) -> bool:
        """Return whether PostgreSQL would take operator classes and collations without being told.

        Args:
            keys: The type, modifier, NOT NULL and collation of each column.
            opclasses: Their OIDs, as ``indclass`` has them.
            collations: As ``indcollation`` has them.
        """
        for key, opclass, collation in zip(
            keys, map(int, opclasses.split()), map(int, collations.split()), strict=True
        ):
            _, _, default, input_type = self.opclasses[opclass]
            same = input_type in (key[0], _TEXT if key[0] == _VARCHAR else key[0])
            if not (default and same and key[3] == collation):
                return False
        return True

    def constraint(self, row: Row) -> str | None:
        """Word a constraint, given the row of it."""
        contype = row[4]
        special = row[5] or not row[7] or not row[8] or row[18]
        if special or contype not in "puf" or not row[1]:
            return None
        names = self.constraint_columns[row[0]]
        if not self._prints_bare(*names):
            return None
        if contype != "f":
            index = self.indexes[row[11]]
            plain = index[11] == index[12] and not index[17]
            return composing.key_definition(contype, names) if plain else None
        table = self.relations[row[13]]
        referenced = _names(self.columns[row[13]], row[14])
        if row[17] != "s" or not self._prints_bare(*table, *referenced):
            return None
        return composing.foreign_key_definition(
            names, table, referenced, on_update=row[15], on_delete=row[16]
        )


def _names(columns: Mapping[int, Row], numbers: Iterable[int]) -> tuple[str | None, ...]:
    return tuple([columns[number][2] if number in columns else None for number in numbers])


def _there(definitions: Mapping[int, str | None]) -> dict[int, str]:
    """Return the definitions, all of which the server gave.

    Raises:
        CatalogUnread: One is of something that another session has just dropped.
    """
    found = {oid: text for oid, text in definitions.items() if text is not None}
    if len(found) < len(definitions):
        raise CatalogUnread(
            "another session drops indexes or constraints while they are read",
            remedy="try again when no other session changes the schema",
        )
    return found


def _types_query(pairs: Iterable[tuple[int, int]]) -> str:
    listed = sorted(pairs)
    oids = ", ".join(str(oid) for oid, _ in listed)
    modifiers = ", ".join(str(modifier) for _, modifier in listed)
    return f"""SELECT v.oid, v.modifier, pg_catalog.format_type(v.oid, v.modifier), t.typcollation,
  t.typstorage
FROM ROWS FROM (pg_catalog.unnest(ARRAY[{oids}]::pg_catalog.oid[]),
  pg_catalog.unnest(ARRAY[{modifiers}]::pg_catalog.int4[])) v(oid, modifier)
  JOIN pg_catalog.pg_type t ON t.oid = v.oid"""


def _collations_query(oids: Iterable[int]) -> str:
    return f"SELECT c.oid, c.oid::pg_catalog.regcollation::text FROM {_unnest(oids)} c(oid)"


def _texts_query(function: str, definitions: Mapping[int, str | None]) -> str:
    unknown = _unnest(oid for oid, text in definitions.items() if text is None)
    return f"SELECT o.oid, pg_catalog.{function}(o.oid) FROM {unknown} o(oid)"


def _unnest(oids: Iterable[int]) -> str:
    listed = ", ".join(str(oid) for oid in sorted(oids))
    return f"pg_catalog.unnest(ARRAY[{listed}]::pg_catalog.oid[])"
