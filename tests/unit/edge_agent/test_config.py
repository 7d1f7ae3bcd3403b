"""The agent's settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent.config import PASSWORD_VARIABLE, ConfigError, read_settings
from edge_agent.fallback_settings import PIN_VARIABLE, SECRET_VARIABLE, explained
from edge_agent.rules import check_buses, host_port, problems
from wire.messages import BusConfig, DetectorConfig, Transport

PROFILES = load_profiles()
REFERENCE = "smokewatch-reference"
MINIMAL = 'area = "danshuichi"\ngateway = "gw-1"\nstate_dir = "state"\n[mqtt]\nhost = "127.0.0.1"\n'


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(text, "utf-8")
    return path


def _refused(tmp_path: Path, text: str) -> str:
    path = _write(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        settings = read_settings(path, {})
        check_buses(path, settings.buses, PROFILES)
    assert str(path) in str(refusal.value)
    return str(refusal.value)


def test_the_smallest_file_has_sound_defaults(tmp_path: Path) -> None:
    """Port by TLS, state beside the file, the kernel's word for the clock."""
    settings = read_settings(_write(tmp_path, MINIMAL), {})
    assert (settings.mqtt.port, settings.mqtt.tls, settings.clock) == (1883, False, "kernel")
    assert settings.outbox_path == tmp_path / "state" / "outbox.db"
    tls = read_settings(_write(tmp_path, MINIMAL + "tls = true\n"), {})
    assert tls.mqtt.port == 8883


def test_further_ways_take_what_they_leave_out_from_the_first(tmp_path: Path) -> None:
    """Ports by transport and TLS; a server name belongs to its host."""
    (tmp_path / "ca.pem").write_text("x")
    text = MINIMAL + (
        'tls = true\nca_file = "ca.pem"\nserver_name = "broker.example"\n'
        '[[mqtt.also]]\ntransport = "websocket"\n'
        '[[mqtt.also]]\nhost = "10.0.0.2"\nport = 443\ntransport = "websocket"\npath = "/ws"\n'
        '[[mqtt.also]]\nhost = "10.0.0.3"\nserver_name = "second.example"\n'
    )
    ways = read_settings(_write(tmp_path, text), {}).mqtt.ways
    assert [(str(way), way.server_name) for way in ways] == [
        ("127.0.0.1:8883", "broker.example"),
        ("127.0.0.1:443/mqtt", "broker.example"),
        ("10.0.0.2:443/ws", None),
        ("10.0.0.3:8883", "second.example"),
    ]
    assert {way.ca_file for way in ways} == {tmp_path / "ca.pem"}
    plain = read_settings(_write(tmp_path, MINIMAL + 'transport = "websocket"\n'), {})
    assert str(plain.mqtt) == "127.0.0.1:80/mqtt"


def test_the_example_file_is_right() -> None:
    """What the documentation shows passes every rule."""
    path = Path(__file__).parents[3] / "docs" / "examples" / "edge.toml"
    settings = read_settings(path, {})
    check_buses(path, settings.buses, PROFILES)
    assert [bus.bus for bus in settings.buses] == ["bus-1", "panel"]


def test_a_password_comes_from_its_file_or_the_environment_and_is_never_shown(tmp_path: Path) -> None:
    """The file wins; the repr hides it."""
    (tmp_path / "secret").write_text("from-file\n")
    from_environment = MINIMAL + 'username = "u"\n'
    shown = read_settings(_write(tmp_path, from_environment), {PASSWORD_VARIABLE: "from-env"})
    assert shown.mqtt.password == "from-env"
    settings = read_settings(
        _write(tmp_path, from_environment + 'password_file = "secret"\n'), {PASSWORD_VARIABLE: "from-env"}
    )
    assert settings.mqtt.password == "from-file"
    assert "from-file" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("area = ", ["not valid TOML"]),
        (MINIMAL.replace("area", "aera"), ["aera: unknown key", "did you mean 'area'"]),
        (MINIMAL.replace("host", "hots"), ["mqtt.hots", "did you mean 'host'"]),
        (MINIMAL.replace('gateway = "gw-1"\n', ""), ["gateway: is missing"]),
        (MINIMAL.replace("gw-1", "GW 1"), ["gateway: 'GW 1' does not fit"]),
        (MINIMAL + "port = 70000\n", ["mqtt.port: 70000"]),
        (MINIMAL + 'password_file = "nowhere"\n', ["mqtt.password_file", "nowhere"]),
        (MINIMAL + 'tls = true\nca_file = "nowhere.pem"\n', ["mqtt.ca_file", "nowhere.pem"]),
        (
            MINIMAL + '[[bus]]\nbus = "b"\ntransport = "serial"\naddress = "/dev/x"\nbuad = 1\n',
            ["bus[0].buad"],
        ),
        (MINIMAL + '[[bus]]\nbus = "b"\ntransport = "canbus"\naddress = "/dev/x"\n', ["bus[0].transport"]),
        (MINIMAL + "mqtt = 3\n", ["mqtt.mqtt"]),
        (MINIMAL + "[[mqtt.also]]\nprot = 1\n", ["mqtt.also[0].prot", "did you mean 'port'"]),
        (MINIMAL + '[[mqtt.also]]\npath = "mqtt"\n', ["mqtt.also[0].path"]),
        (MINIMAL + 'transport = "udp"\n', ["mqtt.transport"]),
        (MINIMAL + 'server_name = "b.example"\n', ["mqtt.server_name", "set tls = true"]),
        ("bus = 7\n" + MINIMAL, ["bus: 7"]),
        ("bus = [7]\n" + MINIMAL, ["bus[0]: 7"]),
    ],
)
def test_a_wrong_file_names_key_and_mend(tmp_path: Path, text: str, words: list[str]) -> None:
    """Each mistake is said with the key it concerns."""
    message = _refused(tmp_path, text)
    assert all(word in message for word in words), message


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """No file, and a file that is not text."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "none.toml", {})
    (tmp_path / "edge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_settings(tmp_path / "edge.toml", {})


def _bus(name: str, *detectors: DetectorConfig, address: str = "/dev/ttyUSB0") -> BusConfig:
    return BusConfig(bus=name, transport=Transport.SERIAL, address=address, detectors=list(detectors))


def _detector(name: str, unit: int, profile: str = REFERENCE, point: int | None = None) -> DetectorConfig:
    return DetectorConfig(detector=name, unit=unit, profile=profile, point=point)


@pytest.mark.parametrize(
    ("buses", "words"),
    [
        ([_bus("a", _detector("d", 1), _detector("e", 1))], ["bus 'a'", "detector e", "same unit"]),
        ([_bus("a", _detector("d", 1), _detector("d", 2))], ["d is listed twice"]),
        ([_bus("a"), _bus("a", address="/dev/x")], ["bus 'a' is used twice"]),
        ([_bus("a"), _bus("b")], ["address '/dev/ttyUSB0' is used twice on bus 'a' and bus 'b'"]),
        (
            [_bus("a", _detector("d", 1)), _bus("b", _detector("d", 1), address="/dev/x")],
            ["detector 'd' is used twice on bus 'a' and bus 'b'"],
        ),
        ([_bus("a", _detector("d", 1, "smokewatch-referense"))], ["did you mean 'smokewatch-reference'"]),
        ([_bus("a", _detector("d", 1, "zzz"))], ["'zzz' is unknown", "known are"]),
        ([_bus("a", _detector("d", 1, point=3))], ["not a panel"]),
        ([_bus("a", _detector("d", 1, "gst200-point"))], ["is a panel: say which point"]),
        ([_bus("a", _detector("d", 1, "gst200-point", 9999))], ["outside 1 to 242"]),
        ([_bus("a", address="COM3")], ["not a device path"]),
        ([BusConfig(bus="a", transport=Transport.TCP, address="box")], ["not host:port"]),
        (
            [_bus("a", _detector("d", 1, "gira-dual-vds"), _detector("e", 2))],
            ["bus 'a'", "speak gira-dual-vds and modbus", "a line of its own"],
        ),
        ([_bus("a", _detector("d", 2, "gira-dual-vds"))], ["unit 2 is outside 1 to 1"]),
        (
            [
                BusConfig(
                    bus="a",
                    transport=Transport.TCP,
                    address="box:4001",
                    detectors=[_detector("d", 1, "jbf-193k-point", 258)],
                )
            ],
            ["tcp is Modbus TCP", "speak jbf-193k", "rtu_tcp"],
        ),
    ],
)
def test_buses_that_cannot_be_watched_are_refused_whole(buses: list[BusConfig], words: list[str]) -> None:
    """The same rules for a file and for what the centre pushes."""
    found = problems(buses, PROFILES)
    assert found
    assert all(word in "\n".join(found) for word in words), found


def test_buses_that_are_right_have_no_problems() -> None:
    """A panel's points beside the panel itself, and units shared by two buses."""
    panel = _bus(
        "panel",
        _detector("p", 1, "gst200-panel"),
        _detector("p1", 1, "gst200-point", 1),
        _detector("p2", 1, "gst200-point", 2),
        address="/dev/b",
    )
    card = _bus(
        "card",
        _detector("c", 1, "jbf-193k-panel"),
        _detector("c1", 1, "jbf-193k-point", 257),
        address="/dev/c",
    )
    assert problems([_bus("a", _detector("d", 1)), panel, card], PROFILES) == ()


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("10.0.0.7:502", ("10.0.0.7", 502)),
        ("[fe80::1]:502", ("fe80::1", 502)),
        ("box:0", None),
        ("box:70000", None),
        (":502", None),
        ("box", None),
    ],
)
def test_host_and_port(address: str, taken: tuple[str, int] | None) -> None:
    """Both given and in range, or nothing."""
    assert host_port(address) == taken


FALLBACK = MINIMAL + (
    '[fallback]\nphones = ["+8613800000101"]\nsounders = ["det-9"]\n'
    '[fallback.webhook]\nurl = "https://r.example/hook?key=k1"\nsecret_file = "hook"\n'
    '[fallback.modem]\nport = "/dev/modem"\npin_file = "pin"\n'
)


def test_the_ways_to_call_are_read_with_their_secrets_and_explained(tmp_path: Path) -> None:
    """Defaults of 20, 45 and 60 s; secrets appear nowhere."""
    (tmp_path / "hook").write_text("s3cret\n")
    (tmp_path / "pin").write_text("1234\n")
    found = read_settings(_write(tmp_path, FALLBACK), {}).fallback
    assert found is not None
    assert (found.ack_within_s, found.alive_within_s, found.watch_s) == (20, 45, 60)
    assert found.webhook is not None
    assert found.webhook.secret == b"s3cret"
    assert found.modem is not None
    assert found.modem.pin == "1234"
    said = "\n".join(explained(found))
    assert "r.example" in said
    assert "/dev/modem" in said
    for secret in ("s3cret", "1234", "k1"):
        assert secret not in said + repr(found)
    plain = (
        FALLBACK.replace("https:", "http:")
        .replace('secret_file = "hook"\n', "")
        .replace('pin_file = "pin"', "")
    )
    by_environment = read_settings(
        _write(tmp_path, plain), {SECRET_VARIABLE: "e", PIN_VARIABLE: "4321"}
    ).fallback
    assert "NOT ENCRYPTED" in "\n".join(explained(by_environment))
    assert read_settings(_write(tmp_path, MINIMAL), {}).fallback is None
    assert "nobody is called" in "".join(explained(None))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINIMAL + "[fallback]\nack_within_s = 5\n", "names no way to call"),
        (MINIMAL + "[fallback]\nsounder = []\n", "fallback.sounder: unknown key"),
        (MINIMAL + "[fallback.modem]\nprot = 1\n", "fallback.modem.prot: unknown key"),
        (MINIMAL + "[fallback]\nack_within_s = 0\nsounders = ['x']\n", "fallback.ack_within_s"),
        (MINIMAL + "[fallback]\nphones = ['027-1']\nsounders = ['x']\n", "fallback.phones"),
        (MINIMAL + "[fallback.webhook]\nurl = 'ftp://x'\n", "fallback.webhook.url: is no web address"),
        (MINIMAL + "[fallback.webhook]\nurl = 'https://x'\n", "fallback.webhook.secret_file: is missing"),
        (FALLBACK, "cannot read"),
    ],
)
def test_a_wrong_way_to_call_is_named(tmp_path: Path, text: str, words: str) -> None:
    """Key and mend."""
    assert words in _refused(tmp_path, text)
