"""Any spelling of a PostgreSQL address, read once into libpq's keywords.

libpq, SQLAlchemy and the drivers read the same URL differently: libpq keeps the last of two
``host`` parameters, SQLAlchemy does not know ``postgres://``, asyncpg says ``ssl`` for
``sslmode``. So an address is parsed here, and everything that connects gets it in the form it
understands: keywords, a SQLAlchemy URL, or ``PG*`` variables for a child process.

Passwords stay out of messages and of ``repr``: an error never repeats what was given, except a
keyword or a scheme.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote_to_bytes

from neuron_schema.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.engine import URL

EXAMPLE = "postgresql://user:password@host:5432/dbname"

_MASKED = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
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
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._-]+|(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]+")
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


@dataclass(frozen=True, slots=True)
class Target:
    """What an address points at, for people and for ``--json``; it holds no password.

    Attributes:
        host: Host name, address or socket directory, a comma list for several, None for libpq's
            default socket or where a service file decides.
        port: The port; a comma list for several hosts; None where a service file decides.
        service: The service named by the address.
    """

    host: str | None
    port: int | str | None
    database: str | None
    user: str | None
    embedded: bool = False
    service: str | None = None

    def __str__(self) -> str:
        host = self.host or (f"service {self.service}" if self.service else "[local]")
        if ":" in host and "/" not in host and "," not in host:
            host = f"[{host}]"
        text = f"{self.user}@{host}" if self.user else host
        text += f":{self.port}" if self.port else ""
        text += f"/{self.database}" if self.database else ""
        return _printable(f"embedded {text}" if self.embedded else text)


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """How to reach a database, in libpq's keywords.

    Attributes:
        params: Keywords of libpq and their values; ``host`` and ``port`` may be comma lists. Not
            to be changed.
        embedded: Whether it is the embedded server's.

    See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
    """

    params: Mapping[str, str]
    embedded: bool = False

    def __post_init__(self) -> None:
        # A dict of our own: a mapping proxy could not be pickled, and fleets pickle addresses.
        object.__setattr__(self, "params", dict(self.params))

    def __hash__(self) -> int:
        return hash((frozenset(self.params.items()), self.embedded))

    def __repr__(self) -> str:
        shown = {k: "***" if k in _MASKED else v for k, v in self.params.items()}
        return f"Address(params={shown!r}, embedded={self.embedded!r})"

    def conninfo(self) -> dict[str, Any]:
        """Return the keywords, all strings, for ``psycopg.connect(**address.conninfo())``."""
        return dict(self.params)

    def sqlalchemy_url(self) -> URL:
        """Return the SQLAlchemy URL, always with the driver ``postgresql+psycopg``.

        Several hosts become ``?host=h1:5432&host=h2:5433``, a socket directory ``?host=/run/pg``.
        See https://docs.sqlalchemy.org/en/21/dialects/postgresql.html#specifying-multiple-fallback-hosts
        """
        from sqlalchemy.engine import URL

        rest = dict(self.params)
        user, password = rest.pop("user", None), rest.pop("password", None)
        database = rest.get("dbname")
        if database is not None and database == database.strip():
            del rest["dbname"]
        else:
            database = None
        host, port, query = _sqlalchemy_hosts(rest.pop("host", ""), rest.pop("port", ""))
        if password is not None and user is None:
            user = ""  # SQLAlchemy renders no password without a user
        return URL.create(
            "postgresql+psycopg", user, password, host, port, database, {**rest, **query}
        )

    def environment(self) -> dict[str, str]:
        """Return the ``PG*`` variables for a child process such as psql.

        Keywords that have no variable (``keepalives``, ``sslpassword``) are left out. A service
        file has precedence over variables, so take the caller's own ``PGSERVICE`` out of the
        child's environment (``child_environment`` does).

        Raises:
            AddressError: The address names a service and also what the service may set.

        See https://www.postgresql.org/docs/current/libpq-envars.html.
        """
        both = {"host", "hostaddr", "port", "dbname", "user"} & self.params.keys()
        if "service" in self.params and both:
            _refuse(
                f"the address names a service and also {', '.join(sorted(both))}; in a child "
                "process the service file would win",
                "give the address without service, or put everything into the service file",
            )
        variables = _libpq_keywords()
        return {
            variable: value
            for keyword, value in self.params.items()
            if (variable := variables.get(keyword))
        }

    def child_environment(self) -> dict[str, str]:
        """Return this process's environment, changed so that a child reaches this address.

        Raises:
            AddressError: As ``environment``.
        """
        inherited = dict(os.environ)
        service = inherited.pop("PGSERVICE", None)
        if not service or "service" in self.params:
            return inherited | self.environment()
        # The service file would win over variables, so what it says becomes variables too.
        filled = {**_libpq_defaults(), **self.params}
        filled.pop("service", None)
        return inherited | Address(filled).environment()

    @property
    def target(self) -> Target:
        """What the address points at, with defaults filled in as libpq would.

        What a service file says is not looked up when the address names the service.
        """
        service = self.params.get("service")
        known = {**({} if service else _libpq_defaults()), **self.params}
        port = known.get("port")
        user = known.get("user")
        return Target(
            host=known.get("host") or known.get("hostaddr"),
            port=int(port) if port and port.isdecimal() else port,
            database=known.get("dbname") or (None if service else user),
            user=user,
            embedded=self.embedded,
            service=service,
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
        if keyword not in _libpq_keywords():
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
    near = difflib.get_close_matches(keyword, _libpq_keywords(), n=1)
    remedy = _REMEDIES.get(keyword)
    # A word near no keyword may be a piece of a password that held a blank or an &.
    if near or remedy:
        _refuse(
            f"{_printable(keyword)} is no parameter of a PostgreSQL address",
            remedy or f"did you mean {near[0]}?",
        )
    _refuse(
        "a parameter of the database address is none of libpq's",
        "see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS; "
        "in a URL percent-encode & as %26 and = as %3D, elsewhere quote values with blanks",
    )


def _refuse_keyword_twice(keyword: str) -> NoReturn:
    known = keyword in _libpq_keywords()
    _refuse(
        f"{keyword if known else 'a parameter'} is given twice in the database address",
        "remove one of the two",
    )


def _sqlalchemy_hosts(
    hosts: str, ports: str
) -> tuple[str | None, int | None, dict[str, str | tuple[str, ...]]]:
    """Return a SQLAlchemy URL's host, port and the query that stands for the others."""
    several = hosts.split(",")
    if not hosts or (len(several) == 1 and _PLAIN_HOST.fullmatch(hosts)):
        if "," not in ports:
            return hosts or None, int(ports) if ports else None, {}
        return hosts or None, None, {"port": ports}
    numbers = ports.split(",") if "," in ports else [ports] * len(several)
    plain = all(re.fullmatch(r"[A-Za-z0-9._-]+", host) for host in several)
    if len(several) > 1 and plain and len(numbers) == len(several):
        joined = (f"{h}:{p}" if p else h for h, p in zip(several, numbers, strict=True))
        return None, None, {"host": tuple(joined)}
    # A colon or a slash within a host: only the comma lists are read back unharmed.
    query: dict[str, str | tuple[str, ...]] = {"host": hosts}
    return None, None, query | ({"port": ",".join(numbers)} if ports else {})


@functools.cache
def _libpq_keywords() -> Mapping[str, str | None]:
    """Return the keywords of the libpq in use, with their environment variables."""
    from psycopg.pq import Conninfo

    return {
        option.keyword.decode(): option.envvar.decode() if option.envvar else None
        for option in Conninfo.get_defaults()
    }


def _libpq_defaults() -> dict[str, str]:
    """Return what libpq takes for keywords not given: ``PG*``, service file, built in."""
    from psycopg.pq import Conninfo

    return {
        option.keyword.decode(): option.val.decode(errors="replace")
        for option in Conninfo.get_defaults()
        if option.val
    }


def _printable(text: str) -> str:
    """Escape control characters, which could forge lines or steer a terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
