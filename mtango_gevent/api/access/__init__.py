"""Access control: which user may do what. It does not know Flask; `guard` applies it to requests."""

from mtango_gevent.api.access.audit import Audit
from mtango_gevent.api.access.audit_lines import VALUE, Change, Origin
from mtango_gevent.api.access.control import AccessControl
from mtango_gevent.api.access.identity import ANONYMOUS, Identity
from mtango_gevent.api.access.rules import Decision, Rule, Rules
from mtango_gevent.api.access.rules_file import PARTS, parse_rules
from mtango_gevent.api.access.stream_tokens import COOKIE as TOKEN_COOKIE
from mtango_gevent.api.access.stream_tokens import LIFETIME as TOKEN_LIFETIME
from mtango_gevent.api.access.stream_tokens import SUBPROTOCOL as TOKEN_SUBPROTOCOL
from mtango_gevent.api.access.stream_tokens import renew as renew_token
from mtango_gevent.api.access.targets import (
    ACTIONS,
    KINDS,
    Action,
    Kind,
    Need,
    Target,
    comparable,
    declared,
    is_free,
    needs,
    usual_kind,
)

__all__ = [
    "ACTIONS",
    "ANONYMOUS",
    "KINDS",
    "PARTS",
    "TOKEN_COOKIE",
    "TOKEN_LIFETIME",
    "TOKEN_SUBPROTOCOL",
    "VALUE",
    "AccessControl",
    "Action",
    "Audit",
    "Change",
    "Decision",
    "Identity",
    "Kind",
    "Need",
    "Origin",
    "Rule",
    "Rules",
    "Target",
    "comparable",
    "declared",
    "is_free",
    "needs",
    "parse_rules",
    "renew_token",
    "usual_kind",
]
