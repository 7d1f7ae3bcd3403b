"""The example street goes into a real database: all or nothing, and twice is once."""

from __future__ import annotations

import pytest

from central.registry.csv_files import read_files, read_folder
from central.registry.csv_import import run_import
from central.registry.errors import RegistryError
from central.registry.watching import read_config
from central.store import registry as rows
from central.store.pool import Store
from tests.harness.street import EXAMPLES, PROFILES, fill, opened


async def counts(store: Store) -> dict[str, int]:
    tables = (
        "area community grid building household resident worker gateway bus detector placement gateway_config"
    )
    found = {}
    async with store.transaction() as tx:
        for table in tables.split():
            row = await (await tx.conn.execute(f"SELECT count(*) AS n FROM {table}")).fetchone()
            found[table] = row["n"]
    return found


async def test_the_example_street_is_imported_and_its_gateways_are_told(database: str):
    """Every row lands, and each gateway's first configuration holds its detectors."""
    async with opened(database) as store:
        await fill(store)
        found = await counts(store)
        assert (found["household"], found["resident"], found["detector"], found["placement"]) == (5, 5, 6, 5)
        async with store.transaction() as tx:
            latest = await rows.latest_config(tx, "gw-xh-1")
            config = read_config(latest["body"])
            leases = await (await tx.conn.execute("SELECT gateway FROM lease ORDER BY 1")).fetchall()
        assert config.version == 1
        assert [(bus.bus, [one.detector for one in bus.detectors]) for bus in config.buses] == [
            ("line-1", ["d-0001", "d-0002", "d-0003"]),
            ("line-2", ["d-0004"]),
        ]
        assert [row["gateway"] for row in leases] == ["gw-ja-1", "gw-xh-1"]


async def test_the_same_import_again_changes_nothing(database: str):
    """Repeat-safe: no new placement, no new configuration."""
    async with opened(database) as store:
        await fill(store)
        before = await counts(store)
        again = await run_import(store, read_folder(EXAMPLES), by="test", profiles=PROFILES)
        assert again.reconfigured == ()
        assert await counts(store) == before


async def test_a_dry_run_reports_and_saves_nothing(database: str):
    """It goes all the way, then takes it back."""
    async with opened(database) as store:
        done = await run_import(store, read_folder(EXAMPLES), by="test", profiles=PROFILES, dry_run=True)
        assert done.dry_run
        assert done.saved["detectors.csv"] == 6
        assert done.reconfigured == ("gw-ja-1", "gw-xh-1")
        assert set((await counts(store)).values()) == {0}


async def test_one_bad_reference_among_many_rows_saves_nothing_and_names_each(database: str):
    """All or nothing; every row that is wrong is named in one run."""
    files = {path.name: path.read_bytes() for path in EXAMPLES.glob("*.csv")}
    files["households.csv"] += b"h-9,no-such-building,,1,101\n"
    files["detectors.csv"] += b"d-0009,smokewatch-reference,,h-9,gw-xh-1,line-7,9,,,\n"
    files["detectors.csv"] += b"d-0010,no-such-model,,,,,,,,\n"
    async with opened(database) as store:
        with pytest.raises(RegistryError) as refused:
            await run_import(store, read_files(files), by="test", profiles=PROFILES)
        assert [(one.place, one.what) for one in refused.value.problems] == [
            ("households.csv:7, building", "there is no building 'no-such-building'"),
            ("detectors.csv:8, bus", "there is no bus 'gw-xh-1/line-7'"),
        ]
        assert set((await counts(store)).values()) == {0}


async def test_addresses_that_clash_are_named_with_who_holds_them(database: str):
    """Two detectors on one address, an address outside the model's range, an unknown model."""
    async with opened(database) as store:
        await fill(store)
        header = (EXAMPLES / "detectors.csv").read_text("utf-8").splitlines()[0]
        text = (
            f"{header}\n"
            "d-0006,smokewatch-reference,,xh-b1-301,gw-xh-1,line-1,1,,,\n"
            "d-0007,no-such-model,,,,,,,,\n"
            "d-0008,smokewatch-reference,,xh-b1-301,gw-xh-1,line-1,9,3,,\n"
        )
        with pytest.raises(RegistryError) as refused:
            await run_import(
                store, read_files({"detectors.csv": text.encode()}), by="test", profiles=PROFILES
            )
        assert {one.place for one in refused.value.problems} == {
            "detectors.csv:2, unit",
            "detectors.csv:3, profile",
            "detectors.csv:4, point",
        }
        assert "held by detector d-0001" in str(refused.value)


async def test_two_detectors_may_trade_places_in_one_file(database: str):
    """Addresses are judged after the whole file, not row by row."""
    async with opened(database) as store:
        await fill(store)
        text = (EXAMPLES / "detectors.csv").read_text("utf-8")
        text = text.replace("line-1,1,,卧室,是", "line-1,2,,卧室,是", 1).replace(
            "line-1,2,,客厅", "line-1,1,,客厅", 1
        )
        done = await run_import(
            store, read_files({"detectors.csv": text.encode()}), by="test", profiles=PROFILES
        )
        assert done.reconfigured == ("gw-xh-1",)
        async with store.transaction() as tx:
            places = await rows.placements(tx, "d-0001")
        assert [(place["unit"], place["to_at"] is None) for place in places] == [(1, False), (2, True)]
