"""Access tokens for relays that are signed in to by OAuth 2: fetched with a refresh token (RFC 6749 §6), kept until they end."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException

from webapp.mail.wire import RelayError, Trouble

#: A token is not used in the last minute of its life.
_MARGIN_SECONDS = 60.0
_USUAL_SECONDS = 3600.0
_ANSWER_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Grant:
    """What a provider gave so that tokens may be fetched."""

    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    scope: str = ""


class Bearer:
    """Gives an access token, one for all threads; RelayError says why there is none."""

    def __init__(self, grant: Grant, *, timeout: float = 15.0) -> None:
        self._grant = grant
        self._timeout = timeout
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._fetch()
            return self._token

    def _fetch(self) -> None:
        answer = self._ask()
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RelayError(Trouble.LOGIN, "the provider's answer holds no access token")
        lasts = answer.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, int | float) else _USUAL_SECONDS
        self._token, self._until = token, time.monotonic() + max(0.0, seconds - _MARGIN_SECONDS)

    def _ask(self) -> dict[str, object]:
        grant = self._grant
        asked = {"grant_type": "refresh_token", "client_id": grant.client_id, "refresh_token": grant.refresh_token}
        asked |= {
            name: value for name, value in (("client_secret", grant.client_secret), ("scope", grant.scope)) if value
        }
        if urllib.parse.urlsplit(grant.token_url).scheme not in {"https", "http"}:
            raise RelayError(Trouble.LOGIN, "the provider's address is not a web address")
        request = urllib.request.Request(grant.token_url, urllib.parse.urlencode(asked).encode())  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:  # noqa: S310 - checked above
                answer = json.loads(response.read(_ANSWER_LIMIT))
        except urllib.error.HTTPError as error:
            # 400 and 401 speak of the grant (RFC 6749 §5.2); anything else of the provider just now.
            trouble = Trouble.LOGIN if error.code in {400, 401, 403} else Trouble.TOKENS
            with error:
                reason = _reason(error)
            raise RelayError(trouble, reason) from error
        except (OSError, HTTPException) as error:
            words = f"the provider of access tokens does not answer: {_what_happened(error)}"
            raise RelayError(Trouble.TOKENS, words) from error
        except ValueError as error:
            raise RelayError(Trouble.LOGIN, "the provider's answer is not JSON") from error
        return answer if isinstance(answer, dict) else {}


def _what_happened(error: object) -> object:
    inner = getattr(error, "reason", error)  # urllib wraps what happened
    return getattr(inner, "strerror", None) or inner


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read(_ANSWER_LIMIT))
        words = " ".join(str(told[name]) for name in ("error", "error_description") if told.get(name))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        words = ""
    return f"the provider of access tokens refused: {words or error.reason}"
