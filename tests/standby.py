"""A primary and its streaming standby, for the tests that need both."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from neuron_schema.embedded import temporary_server
from neuron_schema.embedded.account import server_account
from neuron_schema.embedded.binaries import DEFAULT_MAJOR, find_binaries, reachable_binaries
from neuron_schema.embedded.cluster import Cluster
from neuron_schema.embedded.files import private_directory
from neuron_schema.embedded.temporary import temporary_base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL

MAJOR = int(os.environ.get("NEURON_SCHEMA_TEST_MAJOR", str(DEFAULT_MAJOR)))


@contextmanager
def primary_and_standby() -> Iterator[tuple[URL, URL]]:
    """Run both for the length of the block; yield the addresses of their databases."""
    account = server_account()
    binaries = reachable_binaries(find_binaries(MAJOR), account)
    with temporary_server(major=MAJOR) as address:
        primary = address.sqlalchemy_url()
        home = private_directory(temporary_base(account), "neuron-schema-tmp-", account)
        cluster = Cluster(home, binaries, account, throw_away=True)
        subprocess.run(
            [
                binaries.path("pg_basebackup"),
                *("-D", cluster.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"),
                *("-h", Path(address.params["host"]), "-U", "postgres"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **account.process_arguments(),
        )
        with (cluster.data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write(f"unix_socket_directories = '{home}'\n")
        cluster.launch().wait()
        cluster.wait_until_ready()
        try:
            yield primary, primary.update_query_dict({"host": str(home)})
        finally:
            cluster.shut_down()
            subprocess.run(["rm", "-rf", home], check=True)
