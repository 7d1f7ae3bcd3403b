"""The centre's settings: right, or refused with file, key and mend."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from central.config import ConfigError, Settings, read_settings
from central.notifier.channels import BUILDERS, build_channels

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


CHINESE = (
    '[channels.wecom_bot.groups.grid-1]\nkey = "k"\n'
    '[channels.dingtalk.groups.grid-1]\ntoken = "t"\nsecret = "s"\npersonal = true\n'
    '[channels.feishu.groups.grid-1]\ntoken = "t"\nsecret = "s"\n'
    '[channels.wecom_app]\ncorp_id = "ww1"\nagent_id = 1000002\nsecret = "s"\n'
    '[channels.aliyun_sms]\naccess_key_id = "i"\naccess_key_secret = "s"\nsign_name = "街道"\n'
    '[channels.aliyun_sms.templates.alarm]\ncode = "SMS_1"\ngaps = { kind = "kind", code = "code" }\n'
    'text = "街道提醒${kind}，接警 https://fire.example/a/${code} 。"\n'
    '[channels.aliyun_voice]\naccess_key_id = "i"\naccess_key_secret = "s"\n'
    '[channels.aliyun_voice.templates.alarm]\ncode = "TTS_1"\ngaps = { kind = "kind", home = "home" }\n'
    '[channels.tencent_sms]\nsecret_id = "i"\nsecret_key = "s"\napp_id = "14"\nsign_name = "街道"\n'
    '[channels.tencent_sms.templates.alarm]\ncode = "1110"\ngaps = ["kind", "building", "room"]\n'
    'text = "街道消防提醒{1}，{2}楼，{3}室，请立即前往。"\n'
    '[channels.tencent_voice]\nsecret_id = "i"\nsecret_key = "s"\napp_id = "14"\n'
    '[channels.tencent_voice.templates.alarm]\ncode = "1111"\ngaps = ["kind"]\n'
)
"""Every Chinese channel with what it needs."""
HTTP = '[http]\npublic_url = "https://fire.example"\n'
APPRISE = '[channels.apprise.groups.desk]\nurl = "ntfy://topic-of-the-desk"\n'
GSM = '[channels.gsm]\nport = "/dev/ttyUSB2"\n'


def test_every_channel_there_is_is_built_from_its_table(tmp_path: Path) -> None:
    """With the addresses that the providers document."""
    assert set(
        build(
            read(
                tmp_path,
                GOOD + HTTP + CHINESE + GSM + APPRISE + "[channels.console]\n[channels.smtp]\n"
                'host = "m"\nsender = "a@b"\n[channels.webhook]\nurl = "https://x"\nsecret = "s"\n',
            )
        )
    ) == set(BUILDERS)


def test_an_approved_text_that_leads_to_another_domain_is_found(tmp_path: Path) -> None:
    """The link would open nothing, and the text cannot be changed in a hurry."""
    with pytest.raises(ConfigError, match=r"does not begin with http://127\.0\.0\.1:8080/a/"):
        build(read(tmp_path, GOOD + CHINESE))


def broken(table: str, old: str, new: str) -> str:
    """One table of CHINESE, and those below it, with a change."""
    parts = re.split(r"(?m)^(?=\[)", CHINESE)
    text = "".join(part for part in parts if part.startswith(f"[channels.{table}"))
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (APPRISE.replace("ntfy", "nffy"), "Apprise does not know such an address"),
        (APPRISE.replace("ntfy://", "dingtalk://t0ken/"), "hears a refusal: [channels.dingtalk]"),
        ("[channels.wecom_bot]\n", "channels.wecom_bot.groups is empty: add a table such as"),
        (broken("wecom_bot", 'key = "k"', ""), "wecom_bot.groups.grid-1.key is missing: add key_file"),
        (broken("wecom_bot", "key", "kye"), "wecom_bot.groups.grid-1.kye: unknown key (did"),
        (broken("dingtalk", 'secret = "s"', 'secret = "s s"'), "groups.grid-1.secret has spaces"),
        (broken("feishu", "grid-1", '"a/b"'), "a name has 1 to 64 characters and no slash"),
        (broken("wecom_app", 'secret = "s"', ""), "or set SMOKEWATCH_WECOM_APP_SECRET"),
        (broken("wecom_app", "1000002", '"1"'), "channels.wecom_app.agent_id"),
        (broken("wecom_app", 'secret = "s"', 'secret = "s"\nurl = "qyapi"'), "url is no web address"),
        (broken("aliyun_voice", "templates.alarm", "templates.alrm"), "templates.alarm is missing"),
        (broken("aliyun_sms", "SMS_1", "SMS 1"), "channels.aliyun_sms.templates.alarm.code"),
        (broken("aliyun_sms", 'kind = "kind"', 'kind = "knid"'), "templates.alarm.gaps: there is no word"),
        (broken("aliyun_sms", "{ kind", "{ sort"), "templates.alarm.text: ${sort} must stand in it once"),
        (broken("aliyun_sms", "/a/", "/b/"), "must stand behind the address of your pages"),
        (broken("aliyun_sms", "街道提醒", "长" * 490), "characters long, the provider takes 500"),
        (broken("aliyun_voice", '{ kind = "kind", home = "home" }', '["kind"]'), "gaps are written as a t"),
        (broken("aliyun_voice", '"i"\n', '"i"\nthanks = "TTS_2"\n'), "aliyun_voice.show_number is missing"),
        (broken("tencent_sms", '"room"]', '"code"]'), "'code' has 16 characters and cannot be cut"),
        (broken("tencent_sms", "{3}", "{4}"), "text: {3} must stand in it once"),
        (HTTP + CHINESE + '[channels.tencent_voice.templates.alram]\ncode = "1"', "alram: unknown"),
        (broken("tencent_voice", 'app_id = "14"', 'app_id = "x"'), "channels.tencent_voice.app_id"),
    ],
)  # fmt: skip
def test_a_wrong_chinese_channel_is_refused_with_key_and_mend(tmp_path: Path, table: str, said: str) -> None:
    """Before anybody needs it, and without its secret."""
    with pytest.raises(ConfigError) as caught:
        build(read(tmp_path, GOOD + table))
    assert said in str(caught.value)


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
