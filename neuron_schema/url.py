"""Any spelling of a PostgreSQL address, read once into libpq's keywords.

libpq, SQLAlchemy and the drivers read the same URL differently: libpq keeps the last of two
``host`` parameters, SQLAlchemy does not know ``postgres://``, asyncpg says ``ssl`` for
``sslmode``. So an address is parsed here.

Passwords stay out of messages: an error never repeats what was given, except a keyword or a scheme.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote_to_bytes

from neuron_schema.address import Address, libpq_keywords
from neuron_schema.errors import AddressError
from neuron_schema.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable


EXAMPLE = "postgresql://user:password@host:5432/dbname"

_DRIVERS = frozenset(
    {"psycopg", "psycopg_async", "psycopg2", "psycopg2cffi", "asyncpg", "pg8000"},
)
_FOREIGN = frozenset(
    {"duckdb", "http", "https", "mariadb", "mongodb", "mssql", "mysql"}
    | {"oracle", "redis", "redshift", "snowflake", "sqlite", "sqlserver"}
)
# Parameters of other drivers that have no bearing on where and how to connect.
_DRIVER_ONLY = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "tcp_keepalive",
    }
)
_SSL_WORDS = {
    **dict.fromkeys(("true", "1", "on", "yes"), "require"),
    **dict.fromkeys(("false", "0", "off", "no"), "disable"),
}
_ALIASES = {"database": "dbname", "timeout": "connect_timeout", "unix_sock": "host"}
_REMEDIES = {
    "schema": "set search_path in [tool.neuron_schema], or options=-csearch_path%3DNAME",
    "currentSchema": "set search_path in [tool.neuron_schema], or options=-csearch_path%3DNAME",
}

_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[^\[\]]*\]):([0-9]*)")
# PostgreSQL's conninfo_parse: a word, "=", a value; a backslash takes the next character as it
# is, quotes only count when they open the value.
_PAIR = re.compile(
    r"""
    ([^\s=]+) \s* = \s*
    (?: '((?:[^'\\]|\\.)*)' | ((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)? )
    \s*
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def parse(text: str) -> Address:
    """Read an address in any spelling.

    Accepted are ``postgresql://`` and ``postgres://`` URLs with or without a driver's name, with
    one host or several, and libpq's ``keyword=value`` strings. In a URL ``+`` in a parameter's
    value is a blank, as SQLAlchemy has it.

    Raises:
        AddressError: It is none. The message holds nothing of a password.
    """
    text = text.strip()
    if not text:
        _refuse("the database address is empty", f"give it as {EXAMPLE}")
    _check_characters(text)
    if text[0] in "\"'":
        _refuse("the database address begins with a quote", "remove the quotes around it")
    if text[:5].lower() == "jdbc:":
        _refuse(
            "the database address is one of JDBC",
            f"drop the leading jdbc: and put user and password before the host: {EXAMPLE}",
        )
    if scheme := _SCHEME.match(text):
        _check_scheme(scheme[1])
        return Address(_from_url(text[scheme.end() :]))
    if "=" in text:
        return Address(_checked(_conninfo_pairs(text)))
    return _refuse(
        "the database address is neither a URL nor keyword=value pairs",
        f"give it as {EXAMPLE} or 'host=… dbname=…'",
    )


def _refuse(message: str, remedy: str) -> NoReturn:
    # "from None" everywhere: a cause's message could hold a piece of the password.
    raise AddressError(message, remedy=remedy) from None


def _encode_remedy(character: str) -> str:
    return (
        f"percent-encode {character} as %{ord(character):02X}"
        " in user, password and database (@ is %40, / is %2F, # is %23, ? is %3F, % is %25)"
    )


def _check_scheme(scheme: str) -> None:
    name, plus, driver = scheme.lower().partition("+")
    if name in {"postgresql", "postgres"}:
        if not plus or driver in _DRIVERS:
            return
        _refuse("the database address names an unknown driver", f"give it as {EXAMPLE}")
    if name in _FOREIGN:
        _refuse(f"the database address is one of {name}, not of PostgreSQL", f"give {EXAMPLE}")
    near = difflib.get_close_matches(name, ["postgresql", "postgres"], n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}://? " if near else ""
    _refuse("the scheme of the database address is not postgresql", f"{hint}give {EXAMPLE}")


def _from_url(rest: str) -> dict[str, str]:
    """Read what follows ``://``."""
    if "#" in rest:
        _refuse("the database address holds an unescaped #", _encode_remedy("#"))
    body, _, query = rest.partition("?")
    authority, _, path = body.partition("/")
    if "@" in path or authority.count("@") > 1:
        # Either an @ stands in the password, or a / does and what follows looks like a path.
        character = "@" if authority.count("@") else "/"
        _refuse(f"the database address holds an unescaped {character}", _encode_remedy(character))
    userinfo, at, hosts = authority.rpartition("@")
    if not at and "@" in query and not _reads_as_hosts(hosts):
        _refuse("the database address holds an unescaped ?", _encode_remedy("?"))
    user, _, password = userinfo.partition(":")
    host, port = _hosts(hosts)
    given = {"user": _decode(user), "password": _decode(password), "host": host, "port": port}
    given["dbname"] = _decode(path)
    return _with_query({k: v for k, v in given.items() if v}, _query_pairs(query))


def _reads_as_hosts(hosts: str) -> bool:
    try:
        _hosts(hosts)
    except AddressError:
        return False
    return True


def _hosts(text: str) -> tuple[str, str]:
    """Return host and port of ``h1:5432,h2:5433`` as libpq's comma lists."""
    if not text:
        return "", ""
    hosts, ports = zip(*map(_host_port, text.split(",")), strict=True)
    if len(hosts) > 1 and not all(hosts):
        _refuse("one of the hosts in the database address is empty", "remove the extra comma")
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _host_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not host or (rest and not rest.startswith(":")):
            _refuse("the brackets of an IPv6 host are wrong", "write it as [::1]:5432")
        port = rest[1:]
    else:
        host, _, port = text.partition(":")
        if ":" in port:
            _refuse(
                "a host of the database address has more than one colon",
                "write an IPv6 host in brackets, as [::1]:5432; percent-encode : as %3A elsewhere",
            )
    return _decode(host), _port(port)


def _port(text: str) -> str:
    if text and not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 65536):  # noqa: PLR2004
        _refuse(
            "the port in the database address is no number from 1 to 65535",
            f"give it as {EXAMPLE}; percent-encode /, ? and @ in a password as %2F, %3F and %40",
        )
    return text


def _decode(text: str) -> str:
    """Decode percent-escapes, refusing what libpq would refuse."""
    if _BAD_PERCENT.search(text):
        _refuse(
            "the database address holds a % without two hexadecimal digits", _encode_remedy("%")
        )
    raw = unquote_to_bytes(text)
    plain = raw.decode(errors="replace")
    if plain.encode() != raw:
        _refuse("percent-escapes in the database address are no UTF-8", "encode the text as UTF-8")
    return plain


def _query_pairs(query: str) -> Iterable[tuple[str, str]]:
    for pair in filter(None, query.split("&")):
        keyword, equals, value = pair.replace("+", " ").partition("=")
        if not equals:
            _refuse(
                "a parameter after ? in the database address has no =",
                "write parameters as ?keyword=value&keyword=value; percent-encode & as %26",
            )
        yield _decode(keyword), _decode(value)


def _with_query(given: dict[str, str], query: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Add a URL's parameters to what stands before the ``?``; parameters win, as in libpq."""
    hosts: list[str] = []
    ports: list[str] = []
    others: dict[str, str] = {}
    for keyword, value in map(_translated, query):
        if keyword in _DRIVER_ONLY or not value:
            continue
        if keyword == "host":
            hosts.append(value)
        elif keyword == "port":
            ports.append(value)
        elif others.setdefault(keyword, value) != value:
            _refuse_keyword_twice(keyword)
    return _checked((given | others | _query_hosts(hosts, ports)).items())


def _translated(pair: tuple[str, str]) -> tuple[str, str]:
    """Return libpq's spelling of a parameter that another driver spells its own way."""
    keyword, value = pair
    if keyword == "ssl":
        return "sslmode", _SSL_WORDS.get(value.lower(), value)
    return _ALIASES.get(keyword, keyword), value


def _query_hosts(hosts: list[str], ports: list[str]) -> dict[str, str]:
    """Join the ``host`` and ``port`` parameters, each of which may hold its port (SQLAlchemy)."""
    split = [
        (found[1].strip("[]"), found[2]) if (found := _HOST_PORT.fullmatch(item)) else (item, "")
        for entry in hosts
        for item in entry.split(",")
    ]
    within = [port for _, port in split]
    if any(within) and ports:
        _refuse("ports stand both in host and in port", "give them in one of the two")
    joined = ",".join(within) if any(within) else ",".join(ports)
    joint = {"host": ",".join(host for host, _ in split), "port": joined}
    return {keyword: value for keyword, value in joint.items() if value}


def _conninfo_pairs(text: str) -> Iterable[tuple[str, str]]:
    """Read ``keyword=value`` pairs as libpq does, where the last of two wins."""
    place = 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            _refuse(
                "the keyword=value pairs of the database address cannot be read",
                r"quote values with blanks as keyword='a value', and write ' as \' and \ as \\ ",
            )
        value = pair[2] if pair[2] is not None else pair[3] or ""
        yield pair[1], re.sub(r"\\(.)", r"\1", value, flags=re.S)
        place = pair.end()


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Check keywords and ports."""
    params = {}
    for keyword, value in pairs:
        if keyword not in libpq_keywords():
            _refuse_keyword(keyword)
        _check_characters(value)
        params[keyword] = value
    for port in params.get("port", "").split(","):
        _port(port)
    return params


def _check_characters(text: str) -> None:
    if _UNSENDABLE.search(text):
        _refuse(
            "the database address holds a NUL character or what is no UTF-8",
            "remove it (%00 in a URL)",
        )


def _refuse_keyword(keyword: str) -> NoReturn:
    near = difflib.get_close_matches(keyword, libpq_keywords(), n=1)
    remedy = _REMEDIES.get(keyword)
    # A word near no keyword may be a piece of a password that held a blank or an &.
    if near or remedy:
        _refuse(
            f"{one_line(keyword)} is no parameter of a PostgreSQL address",
            remedy or f"did you mean {near[0]}?",
        )
    _refuse(
        "a parameter of the database address is none of libpq's",
        "see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; "
        "in a URL percent-encode & as %26 and = as %3D, elsewhere quote values with blanks",
    )


def _refuse_keyword_twice(keyword: str) -> NoReturn:
    known = keyword in libpq_keywords()
    _refuse(
        f"{keyword if known else 'a parameter'} is given twice in the database address",
        "remove one of the two",
    )
