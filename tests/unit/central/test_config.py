"""The centre's settings: right, or refused with file, key and mend."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from central.config import ConfigError, Settings, read_settings
from central.notifier.channels import build_channels

GOOD = """
[database]
dsn = "postgresql://u:pw-in-dsn@127.0.0.1/smokewatch"
[broker]
host = "127.0.0.1"
"""


def read(folder: Path, text: str, **environment: str) -> Settings:
    path = folder / "central.toml"
    path.write_text(text, "utf-8")
    return read_settings(path, environment)


def build(settings: Settings, **environment: str) -> list[str]:
    return sorted(build_channels(settings, environment, lambda: datetime.fromtimestamp(0, UTC)))


def test_little_is_enough(tmp_path: Path) -> None:
    """A database and a broker; the rest has defaults."""
    settings = read(tmp_path, GOOD)
    assert (settings.broker.port, settings.http.port, settings.http.public_url) == (
        1883,
        8080,
        "http://127.0.0.1:8080",
    )
    assert settings.ingest.area == ""


def test_secrets_come_from_files_or_the_environment_and_never_show(tmp_path: Path) -> None:
    """The environment wins; no repr holds a secret."""
    (tmp_path / "dsn").write_text("host=from-file\n")
    (tmp_path / "mqtt").write_text("mqtt-secret\n")
    text = '[database]\ndsn_file = "dsn"\n[broker]\nhost = "b"\nusername = "u"\npassword_file = "mqtt"\n'
    settings = read(tmp_path, text)
    assert (settings.dsn, settings.broker.password) == ("host=from-file", "mqtt-secret")
    assert read(tmp_path, text, SMOKEWATCH_DATABASE_DSN="host=env").dsn == "host=env"
    assert read(tmp_path, text, SMOKEWATCH_BROKER_PASSWORD="other").broker.password == "other"
    hidden = repr(read(tmp_path, GOOD + '[channels.webhook]\nurl="https://x/?key=k1"\nsecret="s3cret"\n'))
    assert "s3cret" not in hidden
    assert "pw-in-dsn" not in hidden
    assert "mqtt-secret" not in repr(settings)


def test_a_broker_may_have_further_addresses(tmp_path: Path) -> None:
    """Names and numbers, IPv6 in brackets; without them there is one."""
    assert read(tmp_path, GOOD).broker.also == ()
    also = read(tmp_path, GOOD + 'also = ["two.example:8883", "[fd00::3]:1883"]\n').broker.also
    assert also == (("two.example", 8883), ("fd00::3", 1883))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker", "is not valid TOML"),
        ('[broker]\nhost = "b"\n', "database.dsn is missing"),
        ('[database]\ndsn = "x"\n', "broker: is missing"),
        (GOOD + '[databse]\ndsn = "x"\n', "databse: unknown key (did you mean 'database'?)"),
        (GOOD + "[http]\nprot = 1\n", "http.prot: unknown key (did you mean 'port'?)"),
        (GOOD + "[http]\nport = 70000\n", "http.port: 70000 does not fit"),
        (GOOD + '[http]\npublic_url = "fire.example"\n', "http.public_url: 'fire.example' is no web address"),
        (GOOD + '[ingest]\narea = "Süd"\n', "ingest.area"),
        (GOOD + "broker = 3\n", "unknown key"),
        (GOOD + 'also = ["10.0.0.2"]\n', "broker.also"),
        (GOOD + 'also = ["b:0"]\n', "broker.also: 'b:0': no port 0"),
        (GOOD + 'ca_file = "no.pem"\n', "broker.ca_file: no file"),
        (GOOD + 'password_file = "no.txt"\n', "broker.password_file: cannot read"),
        (GOOD.replace("[broker]", '[broker]\ncert_file = "central.toml"'), "belong together"),
        (GOOD.replace("dsn =", 'dsn_file = "x"\ndsn ='), "keep one of them"),
    ],
)
def test_a_wrong_file_is_refused_with_file_key_and_mend(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake is named; the file's path stands in front."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "central.toml"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(ConfigError, match="give the path of a TOML file"):
        read_settings(tmp_path / "none.toml", {})


def test_channels_are_built_from_their_tables(tmp_path: Path) -> None:
    """All three, with a secret from a file."""
    (tmp_path / "hook").write_text("shared\n")
    text = GOOD + (
        '[channels.console]\n[channels.webhook]\nurl = "https://r.example/m"\nsecret_file = "hook"\n'
        '[channels.smtp]\nhost = "mail.example"\nsender = "fire@example.org"\n'
    )
    assert build(read(tmp_path, text)) == ["console", "smtp", "webhook"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no channel is set up, so nobody would be told"),
        ("[channels.webhok]\n", "did you mean 'webhook'?"),
        ("[channels.console]\nloud = true\n", "channels.console.loud: unknown key"),
        ('[channels.webhook]\nurl = "https://r.example"\n', "channels.webhook.secret is missing"),
        ('[channels.webhook]\nsecret = "s"\n', "channels.webhook.url: is missing"),
        ('[channels.webhook]\nurl = "ftp://x"\nsecret = "s"\n', "channels.webhook.url is no web address"),
        (
            '[channels.webhook]\nurl = "https://x"\nsecret = "s"\ntimeout_s = 99\n',
            "channels.webhook.timeout_s",
        ),
        ('[channels.smtp]\nhost = "m"\nsender = "nobody"\n', "channels.smtp.sender"),
        (
            '[channels.smtp]\nhost = "m"\nsender = "a@b"\nusername = "u"\n',
            "channels.smtp.username and channels.smtp.password_file belong together",
        ),
        (
            '[channels.smtp]\nhost = "m"\nsender = "a@b"\nusername = "u"\npassword = "p"\nstarttls = false\n',
            "encrypt, or leave the password out",
        ),
    ],
)
def test_a_wrong_channel_is_refused_with_key_and_mend(tmp_path: Path, table: str, said: str) -> None:
    """And without its secret."""
    with pytest.raises(ConfigError) as caught:
        build(read(tmp_path, GOOD + table))
    assert said in str(caught.value)


def test_the_documented_file_is_accepted_whole(tmp_path: Path) -> None:
    """Also with every commented key but the files it does not have."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "central.md").read_text("utf-8")
    text = page.split("```toml\n")[1].split("```")[0]
    assert build(read(tmp_path, text)) == ["console", "smtp", "webhook"]
    for name in ("broker.secret", "smtp.secret", "ca.pem", "central.pem", "central.key"):
        (tmp_path / name).write_text("x")
    settings = read(tmp_path, text.replace("\n# ", "\n").replace("At least one", "# At least one"))
    assert settings.broker.tls
    assert settings.broker.password == "x"
    assert len(build(settings)) == 3


FORWARD = """
[[forward]]
id = "fire-119"
host = "10.1.2.3"
port = 5000
source_address = 889
destination_address = 0x0000_0001_5B38
"""


def test_fire_brigade_centres_are_read_with_their_rules(tmp_path: Path) -> None:
    """None by default; several with ids of their own."""
    assert read(tmp_path, GOOD).forward == ()
    other = FORWARD.replace("fire-119", "city") + 'when = "confirmed_or_raised"\nfire_state = 0x0002\n'
    first, second = read(tmp_path, GOOD + FORWARD + other).forward
    assert (first.destination_address, first.transport, first.when, first.fire_state) == (
        88888,
        "tcp",
        "at_once",
        3,
    )
    assert (second.id, second.when, second.fire_state) == ("city", "confirmed_or_raised", 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fire_state = 1", r"forward\[0\]\.fire_state: 1 does not fit"),
        ("wenn = 1", r"forward\[0\]\.wenn: unknown key \(did you mean 'when'\?\)"),
        ("ack_s = 30", r"forward\[0\]\.ack_s: 30 does not fit"),
        (FORWARD, "two tables have id 'fire-119'"),
        ("source_address = 0", r"."),
        (
            FORWARD.replace("119", "2").replace("889", "88888"),
            r"forward\[1\]\.source_address and destination",
        ),
    ],
)
def test_a_mistake_in_a_centre_names_table_key_and_mend(tmp_path: Path, line: str, said: str) -> None:
    """As everywhere."""
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, GOOD + FORWARD + line + "\n")


HEARING = """
[transmitters]
listen = "0.0.0.0:5200"
address = 88888
[[transmitters.known]]
address = 889
gateway = "tx-1"
"""


def test_existing_transmitters_are_read(tmp_path: Path) -> None:
    """Where they are heard, and who is who."""
    assert read(tmp_path, GOOD).transmitters is None
    hearing = read(tmp_path, GOOD + HEARING + 'host = "10.0.0.7"\n').transmitters
    assert hearing is not None
    assert (hearing.host, hearing.port, hearing.address) == ("0.0.0.0", 5200, 88888)
    (one,) = hearing.known
    assert (one.address, one.gateway, one.host) == (889, "tx-1", "10.0.0.7")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEARING + '[[transmitters.known]]\naddress = 889\ngateway = "tx-2"\n', "two have address 889"),
        (HEARING + '[[transmitters.known]]\naddress = 1\ngateway = "tx-1"\n', "two have gateway 'tx-1'"),
        (
            HEARING.replace('"tx-1"', '"a-name-that-is-too-long"'),
            r"gateway: 'a-name-that-is-too-long' does not",
        ),
        (HEARING.replace("5200", "99999"), r"transmitters\.listen: '0\.0\.0\.0:99999': no port 99999"),
        (HEARING + "serial = 1\n", r"transmitters\.known\[0\]\.serial: unknown key"),
    ],
)
def test_a_mistake_in_a_transmitter_names_key_and_mend(tmp_path: Path, text: str, said: str) -> None:
    """As everywhere."""
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, GOOD + text)
