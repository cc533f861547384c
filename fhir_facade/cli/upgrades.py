"""Who asks for another protocol is answered in this one. https://www.rfc-editor.org/rfc/rfc9110#section-7.8"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class NoUpgrades(HttpToolsProtocol):
    """The server's protocol, which by itself takes what follows such a question for something to throw away."""

    def _parse(self, data: bytes) -> None:
        """A parser takes what follows such a head for the other protocol, or for a request: another reads the head
        again, without the question, and then the body."""
        rest: bytes | memoryview = data
        try:
            while rest:
                try:
                    self.parser.feed_data(rest)
                    return
                except HttpParserUpgrade as other:
                    rest = memoryview(rest)[other.args[0] :]
                    self.parser = HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in the server
                    self.parser.feed_data(self._without_upgrade())
        except HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _should_upgrade(self) -> bool:
        """Such a head is none yet: the server passes over what belongs to it."""
        return True

    def _without_upgrade(self) -> bytes:
        asked = f"{self.scope['method']} ".encode() + self.url + f" HTTP/{self.scope['http_version']}\r\n".encode()
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return asked + b"".join(kept) + b"\r\n"
