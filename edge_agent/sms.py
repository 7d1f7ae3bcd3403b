"""SMS through a modem on a serial port. Law of this file: the port is open only while a message is sent."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from edge_agent.fallback_settings import ModemSettings
from edge_agent.line import LineError, SerialLine
from gsm.dialogue import Dialogue, Failed, Sent
from gsm.pdu import submit


class Modem:
    """One modem. `now` is seconds of a clock that only runs forward."""

    def __init__(self, settings: ModemSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._pin = settings.pin
        self._log = structlog.get_logger()

    async def send(self, number: str, text: str) -> str | None:
        """Send one message of at most 70 characters; None when the network took it, else why not."""
        line = SerialLine(self._settings.port, self._settings.baud, "N", 1)
        dialogue = Dialogue(submit(number, text), self._pin)
        try:
            await line.open()
            line.write(dialogue.begin(self._now()))
            while dialogue.outcome is None:
                data = await line.read(max(0.0, dialogue.deadline - self._now()))
                out = dialogue.feed(data, self._now()) if data else dialogue.tick(self._now())
                if out:
                    line.write(out)
        except LineError as error:
            return f"调制解调器端口 modem port: {error}"
        finally:
            line.close()
        match dialogue.outcome:
            case Sent(reference):
                self._log.info("sms_sent", reference=reference)
                return None
            case Failed(why, pin_refused):
                if pin_refused:
                    self._pin = None
                    self._log.error("the SIM refused the PIN: it is not offered again before the next start")
                return why
