"""TLS towards the broker: from the settings to a context, and from what went wrong to words that mend it.

Law of this file: whoever reads the log learns which file, why and what to do; a secret is never in it.
"""

from __future__ import annotations

import logging
import socket
import ssl

from edge_agent.config import MqttSettings
from mqtt_line.general import told_late

_HOST_MISMATCH = frozenset({62, 64})
_NOT_NOW = frozenset({9, 10})
"""Codes of OpenSSL's X509_V_ERR: host name, address; not yet valid, expired."""


class TlsError(Exception):
    """There can be no TLS with these files; the text names file, reason and mend."""


def context_of(settings: MqttSettings) -> ssl.SSLContext | None:
    """What the settings ask for; None without TLS. Reads the files anew: they may have been renewed.

    Raises TlsError.
    """
    if not settings.tls:
        return None
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the host's name
    context.name = settings.server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:
            raise TlsError(
                f"mqtt.ca_file {settings.ca_file} cannot be used ({_reason(error)}): "
                "put the authority's certificate there as PEM, readable for the agent"
            ) from None
    if settings.cert_file is not None and settings.key_file is not None:
        try:
            # An encrypted key would make OpenSSL ask at the terminal; an empty password is refused instead.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except OSError as error:
            raise TlsError(
                f"mqtt.cert_file {settings.cert_file} and mqtt.key_file {settings.key_file} cannot be used "
                f"({_reason(error)}): put this gateway's certificate and its unencrypted key there as PEM, "
                "readable for the agent"
            ) from None
    return context


def plain_words(error: BaseException, settings: MqttSettings) -> str | None:
    """What a failed handshake means, and the mend; None when it was no matter of TLS."""
    if not settings.tls or not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        return _broker_unproved(error, settings)
    said = f"{getattr(error, 'reason', None) or error}".upper().replace(" ", "_")
    if "WRONG_VERSION_NUMBER" in said or "RECORD_LAYER_FAILURE" in said:
        return f"{settings.host}:{settings.port} does not speak TLS: correct mqtt.port, or set tls = false"
    # TLS 1.3: the broker's refusal may be overtaken by the end of the connection; then only that is seen.
    if "ALERT" not in said and not isinstance(error, ssl.SSLEOFError):
        return None
    if settings.cert_file is None:
        return (
            f"the broker refuses a client without a certificate ({_reason(error)}): "
            "give this gateway's own as mqtt.cert_file and mqtt.key_file"
        )
    return (
        f"the broker refuses the certificate in mqtt.cert_file {settings.cert_file} ({_reason(error)}): "
        "have one made by the authority that the broker trusts, or renew it if it has expired"
    )


def _broker_unproved(error: ssl.SSLCertVerificationError, settings: MqttSettings) -> str:
    if error.verify_code in _HOST_MISMATCH:
        key = "host" if settings.server_name is None else "server_name"
        name = settings.server_name or settings.host
        return (
            f"the broker's certificate is not for mqtt.{key} {name!r}: give the name that is in it, "
            "or have a certificate made for this name"
        )
    if error.verify_code in _NOT_NOW:
        return (
            f"the broker's certificate does not hold now ({error.verify_message}): "
            "set this machine's clock, or renew the certificate"
        )
    trusted = "the system's authorities" if settings.ca_file is None else f"mqtt.ca_file {settings.ca_file}"
    return (
        f"the broker's certificate is not vouched for by {trusted} ({error.verify_message}): "
        "give the certificate of the authority that made the broker's as mqtt.ca_file"
    )


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLEOFError):
        return "it hung up"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM of the right kind").lower().replace("_", " ")
    return (error.strerror or str(error)).lower()


class _Context(ssl.SSLContext):
    """Asks for `name` (SNI) and expects it in the certificate, whatever host was called."""

    name: str | None = None

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As the MQTT library calls it, with the host as the name."""
        return super().wrap_socket(
            sock,
            server_side,
            do_handshake_on_connect,
            suppress_ragged_eofs,
            self.name or server_hostname,
            session,
        )


class LastWord(logging.Handler):
    """Keeps what the MQTT library last logged as the error of its socket, for it raises a mere timeout then.

    Such a line is not passed on, as it would come with every try, nor one `told_late`; all others are.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.error: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the error among the record's arguments."""
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, OSError):
                self.error = value
                return
        if not told_late(record):
            logging.getLogger("mqtt").handle(record)

    def logger(self) -> logging.Logger:
        """One that only this hears."""
        logger = logging.Logger("mqtt", logging.WARNING)  # not registered: no handlers above it  # noqa: LOG001
        logger.addHandler(self)
        return logger
