"""An installer with a token: detectors registered by API and by command are watched minutes later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.wait import eventually_now
from tests.harness.whole import Whole, whole_system


@pytest.fixture
def site() -> Iterator[Whole]:
    with whole_system(apart=False) as whole:
        whole.watching()
        yield whole


def test_a_detector_registered_by_the_installer_is_polled_and_its_test_button_arrives(site: Whole) -> None:
    """Taken down and hung under a new id: the configuration travels over MQTT and is applied."""
    old = site.one("SELECT * FROM placement WHERE detector = %s AND to_at IS NULL", site.detectors[0])
    token = site.system.admin("token", "create", "--role", "installer", "--name", "wu-phone").split()[0]
    with httpx.Client(base_url=site.system.site.url, headers={"Authorization": f"Bearer {token}"}) as api:
        removed = api.post(f"/api/detectors/{old['detector']}/placements", json={"placement": None})
        assert removed.status_code == 200, removed.text
        _applied(site, removed.json())
        placement = {
            "household": old["household"],
            "gateway": "gw-1",
            "bus": "riser-1",
            "unit": old["unit"],
            "spot": "厨房",
        }
        saved = api.post(
            "/api/detectors",
            json={"id": "d-new", "profile": "smokewatch-reference", "placement": placement},
        )
        assert saved.status_code == 200, saved.text
        _applied(site, saved.json())
        refused = api.get("/api/residents", params={"household": old["household"]})
        assert refused.status_code == 403

    site.sim("press_test", old["detector"], seconds=3)
    eventually_now(
        lambda: site.rows("SELECT FROM alarm WHERE part = 'd-new' AND condition = 'test'"),
        30,
        "the test button of the new detector has arrived",
    )
    assert not site.rows("SELECT FROM alarm WHERE part = %s", old["detector"])

    site.system.admin("detector", "remove", "d-new")
    site.sim("flip", old["detector"], on=True)
    eventually_now(
        lambda: site.one("SELECT applied_at FROM gateway_config ORDER BY version DESC LIMIT 1")["applied_at"],
        30,
        "the command's configuration is applied",
    )
    site.settled()
    assert not site.rows("SELECT FROM alarm WHERE condition = 'smoke'")


def _applied(site: Whole, answer: dict[str, Any]) -> None:
    assert answer["reconfigured"] == ["gw-1"]
    eventually_now(
        lambda: site.one("SELECT applied_at FROM gateway_config ORDER BY version DESC LIMIT 1")["applied_at"],
        30,
        "the newest configuration is applied",
    )
