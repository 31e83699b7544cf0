"""How gunicorn is started with the repository's configuration."""

from __future__ import annotations

from importlib import resources

from mtango_gevent.serving import interpreter


def command() -> list[str]:
    """The command line; the same server as `gunicorn -c gunicorn.conf.py wsgi:application` in a checkout."""
    configuration = resources.files("mtango_gevent") / "gunicorn.conf.py"
    return interpreter.command("gunicorn", "-c", str(configuration), "mtango_gevent:create_app()")
