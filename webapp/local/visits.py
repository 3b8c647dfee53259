"""HTTP as the demo's recipients speak it: each from an address and a program of their own, to this installation only."""

import http.client
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from html import unescape
from urllib.parse import urlencode, urljoin, urlsplit

from webapp.local.behaviour import Persona, dice

_PIXEL = re.compile(r"""<img\s[^>]*?src\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_FIELD = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_ACTION = re.compile(r"""<form\b[^>]*\bmethod\s*=\s*["']?post["']?[^>]*>""", re.IGNORECASE)
LARGEST = 1_000_000

PROGRAMS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Thunderbird/145.0",
)
PROXIES = ("Mozilla/5.0", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)")


@dataclass(frozen=True)
class Tracked:
    """What of a mail leads back to this installation."""

    pixels: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    leave_page: str = ""
    one_click: str = ""


def tracked(message: EmailMessage, base_url: str) -> Tracked:
    """Find the pixel, the tracked links and the ways to unsubscribe; nothing that leads elsewhere is ever fetched."""
    part = message.get_body(("html",))
    html = str(part.get_content()) if part is not None else ""
    ours = base_url + "/"

    def found(pattern: re.Pattern[str], path: str) -> tuple[str, ...]:
        addresses = (unescape(address) for address in pattern.findall(html))
        return tuple(dict.fromkeys(address for address in addresses if address.startswith(ours + path)))

    header = re.search(r"<(https?://[^>]+)>", str(message.get("List-Unsubscribe", "")))
    one_click = header[1] if header and header[1].startswith(ours) and message.get("List-Unsubscribe-Post") else ""
    pages = found(_LINK, "u/")
    return Tracked(found(_PIXEL, "o/"), found(_LINK, "c/"), pages[0] if pages else one_click, one_click)


@dataclass
class Visitor:
    """One recipient at the network: always the same address and program."""

    address: str
    persona: Persona
    base_url: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, url: str, *, method: str = "GET") -> tuple[int, str]:
        """Fetch without following where it leads."""
        return self._ask(method, url)

    def leave_on_page(self, url: str) -> int:
        """Open the unsubscribe page and press its button, as a browser does without scripts."""
        status, page = self._ask("GET", url)
        form = _ACTION.search(page)
        if status != 200 or form is None:
            return status
        inside = page[form.end() : page.find("</form>", form.end())]
        values = {}
        for tag in _FIELD.findall(inside):
            name, value = _attribute(tag, "name"), _attribute(tag, "value")
            if name and _attribute(tag, "type") in {"hidden", ""}:
                values[name] = value
        return self._ask("POST", urljoin(url, _attribute(form[0], "action") or url), values)[0]

    def leave_by_one_click(self, url: str) -> int:
        """What the mail program's own button does (RFC 8058): no cookies, no page."""
        self.cookies.clear()
        return self._ask("POST", url, {"List-Unsubscribe": "One-Click"})[0]

    def _ask(self, method: str, url: str, values: dict[str, str] | None = None) -> tuple[int, str]:
        if not url.startswith(self.base_url + "/"):
            raise ValueError("the demo's recipients visit this installation only")
        parts = urlsplit(url)
        body = urlencode(values) if values is not None else None
        line = self._line(parts.scheme, parts.hostname or "", parts.port)
        try:
            line.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, self._headers(method))
            answer = line.getresponse()
            text = answer.read(LARGEST).decode("utf-8", "replace")
        finally:
            line.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            self.cookies[name.strip()] = rest.split(";")[0]
        return answer.status, text

    def _line(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=20)
        source = (self.network_address(), 0) if host == "127.0.0.1" else None
        return http.client.HTTPConnection(host, port, timeout=20, source_address=source)

    def network_address(self) -> str:
        """An address of this machine's own loopback network, so that not all come from one."""
        number = int(dice(self.address, "network") * 2**22)
        if self.persona is Persona.SCANNER:
            return f"127.77.{number % 3}.{number % 40 + 1}"
        return f"127.{100 + number % 60}.{number // 60 % 254 + 1}.{number // 15240 % 250 + 1}"

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"User-Agent": self._program(), "Accept": "*/*"}
        if self.persona not in {Persona.SCANNER, Persona.PROXY}:
            headers["Accept-Language"] = "nb-NO,nb;q=0.9,en;q=0.6"
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return headers

    def _program(self) -> str:
        known = PROXIES if self.persona is Persona.PROXY else PROGRAMS
        return known[int(dice(self.address, "program") * len(known))]


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf"""\b{name}\s*=\s*["']([^"']*)["']""", tag, re.IGNORECASE)
    return unescape(found[1]) if found else ""
