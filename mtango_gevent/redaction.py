"""Redaction: takes passwords, tokens and keys out of texts for operators."""

from __future__ import annotations

import re

from mtango_gevent.key_file import PREFIX

# User and password in a URL (the password may have an `@`), API keys, parameters of a query, and lines of the head of
# a request.
_USER = re.compile(r"(?<=://)[^\s/'\"]*@")
_API_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]+")
_PARAMETER = re.compile(
    r"((?:^|[?&;])(?:(?:access_|id_|refresh_)?token|code|api_?key|x-api-key|client_secret|password)=)[^&;#\s'\"]*",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\b((?:proxy-)?authorization|x-api-key|cookie)\b\s*[: ]\s*\S.*", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text without the passwords, tokens and keys in it."""
    return _HEADER.sub(r"\1 ***", _PARAMETER.sub(r"\1***", _API_KEY.sub("***", _USER.sub("***@", text))))
