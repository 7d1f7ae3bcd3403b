"""The pages about backups and about growth: what they tell people to write is what the programs read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import central.config
import edge_agent.config
from central.__main__ import _parser as central_parser
from central.store.migrate import migrate, pending
from simulator.parts import free_port
from tests.harness.nats_cluster import CONFIG
from tests.harness.street import opened

ROOT = Path(__file__).resolve().parents[3]
GROW = ROOT / "docs" / "howto" / "grow-past-one-machine.md"
BACKUP = ROOT / "docs" / "howto" / "back-up-and-restore.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text("utf-8")) if name == language]


def test_every_configuration_on_the_page_is_accepted_and_means_what_the_page_says(tmp_path: Path) -> None:
    """Those of the centre and that of the agent."""
    read = []
    for number, text in enumerate(blocks(GROW, "toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, "utf-8")
        if "[database]" in text:
            read.append(central.config.read_settings(path, {}))
        else:
            agent = edge_agent.config.read_settings(path, {})
            assert agent.gateway == "gw-0001"
    area, cluster, patroni = read
    assert area.ingest.area == "qingxi"
    assert cluster.broker.also == (("10.0.0.2", 1883), ("10.0.0.3", 1883))
    assert conninfo_to_dict(patroni.dsn)["target_session_attrs"] == "read-write"


@pytest.mark.parametrize("page", [GROW, BACKUP], ids=lambda page: page.name)
def test_every_command_of_ours_is_one_that_the_program_knows(page: Path) -> None:
    """And each file of ours that is named is there."""
    called = 0
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            found = re.search(r"(?<!/)smokewatch-central ([a-z].*?)(?:\s+(?:#|;;).*)?$", line)
            if found is None or "systemctl" in line:
                continue
            central_parser().parse_args(found[1].split())
            called += 1
    assert called >= 2
    text = page.read_text("utf-8")
    for name in re.findall(r"(?:/opt/smokewatch-source/|`)((?:deploy|tests)/[\w./-]+)", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", [GROW, BACKUP], ids=lambda page: page.name)
def test_the_shell_on_the_page_can_be_read_by_a_shell(page: Path) -> None:
    """Quotes and brackets close."""
    for block in blocks(page, "sh"):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_page_sets_every_variable_that_a_node_of_the_broker_needs() -> None:
    """A variable that is missing keeps the node from starting."""
    config = "\n".join(line for line in CONFIG.read_text("utf-8").splitlines() if not line.startswith("#"))
    (block,) = [text for text in blocks(GROW, "sh") if "nats-server" in text]
    assert set(re.findall(r"\$([A-Z_]+)", config)) == set(re.findall(r"([A-Z_]+)=", block))


async def test_a_database_of_several_addresses_is_found_where_it_takes_writes(empty_database: str) -> None:
    """The first address is dead, as after a failover; migrations and programs find the living one."""
    where = conninfo_to_dict(empty_database)
    several = psycopg.conninfo.make_conninfo(
        empty_database,
        host=f"{where['host']},{where['host']}",
        port=f"{free_port()},{where['port']}",
        target_session_attrs="read-write",
        connect_timeout=3,
    )
    migrate(several)
    assert pending(several) == []
    async with opened(several) as store, store.transaction() as tx:
        row = await (await tx.conn.execute("SELECT count(*) AS n FROM epoch")).fetchone()
    assert row == {"n": 1}
