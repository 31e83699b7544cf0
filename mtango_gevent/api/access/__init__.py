"""Access control: which user may do what. It does not know Flask; `guard` applies it to requests."""

from mtango_gevent.api.access.audit import Audit
from mtango_gevent.api.access.audit_lines import VALUE, Change, Origin, bounded
from mtango_gevent.api.access.control import AccessControl
from mtango_gevent.api.access.identity import ANONYMOUS, Identity
from mtango_gevent.api.access.targets import Action, Kind, Need, Target, declared, is_free, needs

__all__ = [
    "ANONYMOUS",
    "VALUE",
    "AccessControl",
    "Action",
    "Audit",
    "Change",
    "Identity",
    "Kind",
    "Need",
    "Origin",
    "Target",
    "bounded",
    "declared",
    "is_free",
    "needs",
]
