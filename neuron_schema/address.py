"""How to reach a database, in the form that each of those understands who connect.

libpq's keywords, a SQLAlchemy URL, or ``PG*`` variables for a child process. A password is in
neither ``repr`` nor ``str``.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuron_schema.errors import AddressError
from neuron_schema.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL

_MASKED = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._-]+|(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]+")


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
        return one_line(f"embedded {text}" if self.embedded else text)


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
            raise AddressError(
                f"the address names a service and also {', '.join(sorted(both))}; in a child "
                "process the service file would win",
                remedy="give the address without service, or put everything into the service file",
            )
        variables = libpq_keywords()
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
def libpq_keywords() -> Mapping[str, str | None]:
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
