"""How gunicorn is started with the repository's configuration."""

from __future__ import annotations

import sys

from mtango_gevent import files


def command() -> list[str]:
    """The command line; the same server as `gunicorn -c gunicorn.conf.py wsgi:application` in a checkout."""
    configuration = files.find("gunicorn.conf.py")
    return [sys.executable, "-m", "gunicorn", "-c", str(configuration), "mtango_gevent:create_app()"]
