"""The kinds of which a snapshot holds the presence and outlines, one query for each.

https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from neuron_schema.catalog.queries import FIRST_USER_OID, grants

if TYPE_CHECKING:
    from neuron_schema.catalog.queries import Scope

_V15, _V16, _V17 = 150000, 160000, 170000


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How to read one catalog.

    Attributes:
        catalog: Its name; its rows are ``o`` in what follows.
        details: Expressions of what is told of an object, without OIDs.
        namespace: The column with the schema; None for what stands in no schema.
        owner: The column with the owner, or None.
        acl: The column with the privileges and the letter of ``acldefault``, or None.
        only: A further condition.
    """

    catalog: str
    details: tuple[str, ...]
    namespace: str | None = None
    owner: str | None = None
    acl: tuple[str, str] | None = None
    only: str = "true"


def _routine(column: str) -> str:
    return f"o.{column}::pg_catalog.regprocedure::text"


def _type(column: str) -> str:
    return f"pg_catalog.format_type(o.{column}, NULL)"


NO_ARRAY: Final = "o.typinput <> 'pg_catalog.array_in'::pg_catalog.regproc"
"""The condition that a type ``o`` is not the array type which comes with each type."""

_MEMBERS = """(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.amopstrategy,
    m.amopopr::pg_catalog.regoperator::text, m.amoppurpose, s.opfname)
    ORDER BY pg_catalog.format_type(m.amoplefttype, NULL) COLLATE "C",
      pg_catalog.format_type(m.amoprighttype, NULL) COLLATE "C", m.amoppurpose, m.amopstrategy)
  FROM pg_catalog.pg_amop m LEFT JOIN pg_catalog.pg_opfamily s ON s.oid = m.amopsortfamily
  WHERE m.amopfamily = o.oid)"""
_SUPPORT = """(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.amprocnum,
    pg_catalog.format_type(m.amproclefttype, NULL), pg_catalog.format_type(m.amprocrighttype, NULL),
    m.amproc::pg_catalog.regprocedure::text)
    ORDER BY m.amprocnum, pg_catalog.format_type(m.amproclefttype, NULL) COLLATE "C",
      pg_catalog.format_type(m.amprocrighttype, NULL) COLLATE "C")
  FROM pg_catalog.pg_amproc m WHERE m.amprocfamily = o.oid)"""
_METHOD = "(SELECT a.amname FROM pg_catalog.pg_am a WHERE a.oid = o.{})"
_TOKENS = """(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.maptokentype,
    m.mapdict::pg_catalog.regdictionary::text) ORDER BY m.maptokentype, m.mapseqno)
  FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = o.oid)"""
_BASE_TYPE = (
    *map(_routine, ("typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout")),
    *(f"o.{name}" for name in ("typlen", "typbyval", "typalign", "typstorage", "typcategory")),
    *(f"o.{name}" for name in ("typispreferred", "typdelim", "typdefault", "typisdefined")),
    _type("typelem"),
    "o.typtype",
)


def presences(version: int) -> tuple[Presence, ...]:
    """Return how each catalog of a server is read.

    Args:
        version: Its ``server_version_num``.
    """
    collation = ["o.collprovider", "o.collisdeterministic", "o.collencoding", "o.collcollate"]
    collation.append("o.collctype")
    if version >= _V15:
        collation.append("o.colllocale" if version >= _V17 else "o.colliculocale")
    if version >= _V16:
        collation.append("o.collicurules")
    return (
        Presence(
            catalog="pg_type",
            namespace="typnamespace",
            owner="typowner",
            acl=("typacl", "T"),
            only=f"o.typtype IN ('b', 'p') AND {NO_ARRAY}",
            details=_BASE_TYPE,
        ),
        Presence(
            catalog="pg_collation",
            namespace="collnamespace",
            owner="collowner",
            details=tuple(collation),
        ),
        Presence(
            catalog="pg_operator",
            namespace="oprnamespace",
            owner="oprowner",
            details=(
                *map(_routine, ("oprcode", "oprrest", "oprjoin")),
                "o.oprcom::pg_catalog.regoperator::text",
                "o.oprnegate::pg_catalog.regoperator::text",
                "o.oprcanmerge",
                "o.oprcanhash",
            ),
        ),
        Presence(
            catalog="pg_opfamily",
            namespace="opfnamespace",
            owner="opfowner",
            details=(_METHOD.format("opfmethod"), _MEMBERS, _SUPPORT),
        ),
        Presence(
            catalog="pg_opclass",
            namespace="opcnamespace",
            owner="opcowner",
            details=(
                _METHOD.format("opcmethod"),
                "(SELECT f.opfname FROM pg_catalog.pg_opfamily f WHERE f.oid = o.opcfamily)",
                _type("opcintype"),
                _type("opckeytype"),
                "o.opcdefault",
            ),
        ),
        Presence(
            catalog="pg_conversion",
            namespace="connamespace",
            owner="conowner",
            details=("o.conforencoding", "o.contoencoding", _routine("conproc"), "o.condefault"),
        ),
        Presence(
            catalog="pg_cast", details=(_routine("castfunc"), "o.castcontext", "o.castmethod")
        ),
        Presence(
            catalog="pg_language",
            owner="lanowner",
            acl=("lanacl", "l"),
            details=(
                "o.lanpltrusted",
                *map(_routine, ("lanplcallfoid", "laninline", "lanvalidator")),
            ),
        ),
        Presence(catalog="pg_transform", details=(_routine("trffromsql"), _routine("trftosql"))),
        *_text_search(),
        *_foreign(),
        Presence(catalog="pg_am", details=("o.amtype", _routine("amhandler"))),
        Presence(
            catalog="pg_subscription",
            owner="subowner",
            only="o.subdbid = (SELECT b.oid FROM pg_catalog.pg_database b"
            " WHERE b.datname = pg_catalog.current_database())",
            details=("o.subenabled", "o.subslotname", "o.subpublications"),
        ),
    )


def _text_search() -> tuple[Presence, ...]:
    return (
        Presence(
            catalog="pg_ts_parser",
            namespace="prsnamespace",
            details=tuple(map(_routine, ("prsstart", "prstoken", "prsend", "prsheadline"))),
        ),
        Presence(
            catalog="pg_ts_template",
            namespace="tmplnamespace",
            details=(_routine("tmplinit"), _routine("tmpllexize")),
        ),
        Presence(
            catalog="pg_ts_dict",
            namespace="dictnamespace",
            owner="dictowner",
            details=(
                "(SELECT t.tmplname FROM pg_catalog.pg_ts_template t WHERE t.oid = o.dicttemplate)",
                "o.dictinitoption",
            ),
        ),
        Presence(
            catalog="pg_ts_config",
            namespace="cfgnamespace",
            owner="cfgowner",
            details=(
                "(SELECT p.prsname FROM pg_catalog.pg_ts_parser p WHERE p.oid = o.cfgparser)",
                _TOKENS,
            ),
        ),
    )


def _foreign() -> tuple[Presence, ...]:
    return (
        Presence(
            catalog="pg_foreign_data_wrapper",
            owner="fdwowner",
            acl=("fdwacl", "F"),
            details=(_routine("fdwhandler"), _routine("fdwvalidator"), "o.fdwoptions"),
        ),
        Presence(
            catalog="pg_foreign_server",
            owner="srvowner",
            acl=("srvacl", "S"),
            details=(
                "(SELECT f.fdwname FROM pg_catalog.pg_foreign_data_wrapper f"
                " WHERE f.oid = o.srvfdw)",
                "o.srvtype",
                "o.srvversion",
                "o.srvoptions",
            ),
        ),
    )


def presence_query(presence: Presence, scope: Scope) -> str:
    """OID, type, identity, schema, owner, grants, details."""
    owner = f"o.{presence.owner}" if presence.owner else None
    granted = "NULL::pg_catalog.jsonb"
    if presence.acl and owner:
        column, letter = presence.acl
        granted = grants(f"o.{column}", f"'{letter}'", owner)
    catalog = f"pg_catalog.{presence.catalog}"
    return f"""SELECT o.oid, i.type, i.identity, {f"o.{presence.namespace or 'oid'}"},
  {f"pg_catalog.pg_get_userbyid({owner})" if owner else "NULL"}, {granted},
  pg_catalog.jsonb_build_array({", ".join(presence.details)})::text
FROM {catalog} o, pg_catalog.pg_identify_object('{catalog}'::pg_catalog.regclass, o.oid, 0) i
WHERE {presence_condition(presence, scope)}"""


def presence_condition(presence: Presence, scope: Scope) -> str:
    """Return the condition that ``o`` is to be read."""
    namespace = f"o.{presence.namespace}" if presence.namespace else None
    return f"{scope.holds(presence.catalog, 'o.oid', namespace)} AND {presence.only}"


# Options may hold passwords, and only the view lets an ordinary role see that there is a mapping.
USER_MAPPINGS: Final = f"""SELECT m.umid, 'user mapping', m.usename || ' on server ' || m.srvname,
  NULL, NULL, NULL::pg_catalog.jsonb, '[]'
FROM pg_catalog.pg_user_mappings m WHERE m.umid >= {FIRST_USER_OID}"""

LABELS: Final = """SELECT l.objoid, 'security label', l.provider || ' on ' || i.type || ' '
  || i.identity, NULL, NULL, NULL::pg_catalog.jsonb, l.label
FROM pg_catalog.pg_seclabel l,
  pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) i"""
