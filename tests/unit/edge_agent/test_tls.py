"""What a failed TLS handshake is said to mean."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from edge_agent.config import MqttSettings
from edge_agent.tls import LastWord, TlsError, context_of, plain_words

BARE = MqttSettings("broker.example", 8883, tls=True)
OWN = MqttSettings("broker.example", 8883, tls=True, cert_file=Path("own.crt"), key_file=Path("own.key"))


def _unproved(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


def _alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "settings", "words"),
    [
        (_unproved(9, "certificate is not yet valid"), BARE, ["not yet valid", "set this machine's clock"]),
        (_unproved(10, "certificate has expired"), BARE, ["has expired", "renew the certificate"]),
        (_unproved(64, "IP address mismatch"), BARE, ["'broker.example'", "the name that is in it"]),
        (_unproved(20, "no issuer"), BARE, ["the system's authorities", "no issuer", "mqtt.ca_file"]),
        (_alert("WRONG_VERSION_NUMBER"), BARE, ["broker.example:8883", "mqtt.port", "tls = false"]),
        (_alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), BARE, ["without a certificate", "mqtt.cert_file"]),
        (_alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), OWN, ["own.crt", "certificate expired", "renew it"]),
    ],
)
def test_each_failure_names_its_mend(error: ssl.SSLError, settings: MqttSettings, words: list[str]) -> None:
    """Name of the key or file, the reason as OpenSSL has it, and what to do."""
    said = plain_words(error, settings)
    assert said is not None
    for word in words:
        assert word in said


def test_a_broker_that_hangs_up_in_the_handshake_is_taken_to_refuse_the_certificate() -> None:
    """Its refusal may be lost behind the end of the connection."""
    said = plain_words(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), OWN)
    assert said is not None
    assert "refuses the certificate in mqtt.cert_file" in said
    assert "own.crt" in said
    assert "it hung up" in said


def test_what_is_no_matter_of_tls_is_left_to_others() -> None:
    """A refused connection, an unknown error, and a line without TLS."""
    assert plain_words(ConnectionRefusedError(111, "refused"), BARE) is None
    assert plain_words(_alert("UNEXPECTED_EOF"), BARE) is None
    assert plain_words(_alert("WRONG_VERSION_NUMBER"), MqttSettings("broker.example", 1883)) is None


def test_a_context_checks_the_broker_and_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Certificate and host name are always checked; there is no context without TLS."""
    assert context_of(MqttSettings("broker.example", 1883)) is None
    context = context_of(BARE)
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    missing = tmp_path / "ca.crt"
    with pytest.raises(TlsError, match=r"mqtt\.ca_file .*ca\.crt cannot be used \(no such file"):
        context_of(MqttSettings("broker.example", 8883, tls=True, ca_file=missing))


def test_only_errors_of_the_socket_are_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    """The library's other warnings are heard as before."""
    last = LastWord()
    last.logger().warning("failed to receive on socket: %s", ConnectionResetError(104, "reset"))
    assert isinstance(last.error, ConnectionResetError)
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        last.logger().warning("There are %d pending publish calls.", 2000)
    assert [record.getMessage() for record in caplog.records] == ["There are 2000 pending publish calls."]
