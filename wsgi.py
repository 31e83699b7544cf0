"""The application for WSGI servers: `gunicorn -c gunicorn.conf.py wsgi:application`, waitress, mod_wsgi, uWSGI."""

from mtango_gevent import create_app

application = create_app()
