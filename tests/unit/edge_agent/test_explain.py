"""What check-config says beyond right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent.config import ConfigError, MqttSettings, Settings, read_settings
from edge_agent.explain import Machine, Port, explain, warnings
from edge_agent.installer import InstallerError, units_of
from wire.messages import BusConfig, DetectorConfig, Transport

PROFILES = load_profiles()
BY_ID = "/dev/serial/by-id/usb-x"


def _settings(address: str = BY_ID, detectors: int = 1, host: str = "127.0.0.1") -> Settings:
    members = [
        DetectorConfig(detector=f"d-{unit}", unit=unit, profile="smokewatch-reference")
        for unit in range(1, detectors + 1)
    ]
    bus = BusConfig(bus="b", transport=Transport.SERIAL, address=address, detectors=members)
    return Settings("area", "gw", Path("/state"), MqttSettings(host, 1883), (bus,))


def test_a_bus_is_explained_with_its_requests_its_lap_and_its_models() -> None:
    """A person compares this with what hangs on the wall."""
    said = "\n".join(explain(_settings(detectors=2), PROFILES))
    assert "2 detectors, 2 requests a lap" in said
    assert "smokewatch-reference: d-1 (unit 1), d-2 (unit 2)" in said
    assert "health pages off" in said


@pytest.mark.parametrize(
    ("port", "mend"),
    [(Port.MISSING, "plug the adapter in"), (Port.FORBIDDEN, "dialout"), (Port.NO_DEVICE, "by-id")],
)
def test_a_port_that_cannot_be_opened_now_is_a_warning_with_its_mend(port: Port, mend: str) -> None:
    """The port may come later: no error."""
    found = warnings(_settings(), PROFILES, Machine({BY_ID: port}))
    assert len(found) == 1
    assert found[0].startswith("bus[0].address")
    assert mend in found[0]


def test_all_is_well_says_nothing() -> None:
    """A warning that is always there is read by nobody."""
    assert warnings(_settings(), PROFILES, Machine({BY_ID: Port.READY})) == []


def test_a_name_that_moves_an_unset_clock_plain_text_and_a_long_lap_are_warned_of() -> None:
    """Each is a failure that shows months later."""
    settings = _settings("/dev/ttyUSB0", 200, "mqtt.example.org")
    found = "\n".join(warnings(settings, PROFILES, Machine(synchronised=False)))
    for word in ("/dev/serial/by-id/", "not synchronised", "mqtt.tls", "use two buses"):
        assert word in found


def test_a_listening_address_that_is_none_is_refused_with_the_key(tmp_path: Path) -> None:
    """http.listen = "9110" would be a guess."""
    file = tmp_path / "edge.toml"
    text = 'area="a"\ngateway="g"\nstate_dir="s"\n[mqtt]\nhost="h"\n[http]\n'
    file.write_text(text + 'listen = "9110"\n')
    with pytest.raises(ConfigError, match=r"http\.listen.*127\.0\.0\.1:9110"):
        read_settings(file, {})
    file.write_text(text + 'lisen = "127.0.0.1:1"\n')
    with pytest.raises(ConfigError, match=r"http\.lisen: unknown key .*listen"):
        read_settings(file, {})
    file.write_text(text + 'listen = "127.0.0.1:9110"\n')
    settings = read_settings(file, {})
    assert settings.http_listen == ("127.0.0.1", 9110)
    assert settings.control_socket == tmp_path / "s" / "control.sock"


def test_units_are_read_as_people_write_them() -> None:
    """`5,7,20-22`; anything else names the form."""
    assert units_of("20-22,5, 7,5") == [5, 7, 20, 21, 22]
    for wrong in ("", "0", "248", "3-1", "x", "1-", "-3", "1,,2"):
        with pytest.raises(InstallerError, match="--units"):
            units_of(wrong)
