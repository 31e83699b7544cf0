"""How gunicorn runs the gateway; each choice with its reason. Read before the fork, so it imports nothing heavy."""

import logging
import os
import signal
import sys

from mtango_gevent import logs
from mtango_gevent import workers as workers_shared
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.serving import stopping

try:
    settings = Config.load()
except ConfigError as error:
    sys.exit(f"mtango-gevent: {error}")

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.workers or len(os.sched_getaffinity(0))  # more would only take turns: who waits needs no worker
worker_class = "mtango_gevent.serving.worker.GatewayWorker"  # gevent: who waits costs a greenlet, not a thread
worker_connections = 1000 + settings.event_limit  # so that those who wait for events leave room for all others
timeout = 60  # Tango calls do not block the hub: a worker that is silent for so long is broken
graceful_timeout = stopping.graceful_timeout(settings)  # for requests, then for what is asynchronous
keepalive = 75  # longer than browsers and proxies (nginx: 60) keep a connection that nothing goes over
limit_request_line = 8190  # the most that gunicorn allows: reading many attributes names them all in the URL
limit_request_fields = 100
limit_request_field_size = 8190  # cookies and tokens fit; what is larger is an attack or a mistake
max_requests = settings.max_requests
max_requests_jitter = settings.max_requests // 10  # so that the workers do not all leave at the same time
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a heartbeat that waits for no disk
control_socket_disable = True  # gunicorn 27 would put one into a home directory
forwarded_allow_ips = ""  # MTANGO_TRUSTED_PROXIES alone decides whose X-Forwarded-* is believed
secure_scheme_headers = {}
forwarder_headers = ""
preload_app = False  # see on_starting
loglevel = "debug" if settings.debug else "info"
if settings.log_format == "json":
    logconfig_dict = logs.in_json(loglevel.upper())


board = workers_shared.share()


def on_starting(server):
    """gevent has to patch a worker before PyTango is loaded, and nothing of Tango survives a fork."""
    if server.cfg.preload_app:
        sys.exit("mtango-gevent: --preload loads PyTango before the fork, after which its calls would block a worker")


def pre_fork(server, worker):
    """Memory for the figures of the worker, which outlives it."""
    worker.part = board.reserve()


def post_fork(server, worker):
    """Until it has its own, a worker has the master's signal handlers, which would swallow the word to leave."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    workers_shared.begin(worker.part)
    _log_as_gunicorn_does(worker)


def _log_as_gunicorn_does(worker):
    """The package's log goes where gunicorn's goes. Each line is written at once: a worker may hang and be killed."""
    package = logging.getLogger("mtango_gevent")
    if settings.log_format == "text":
        package.handlers = worker.log.error_log.handlers
        for handler in package.handlers:
            if handler.formatter.datefmt:  # syslog has times of its own
                handler.setFormatter(logs.TextFormatter(worker.log.error_fmt, worker.log.datefmt))
        package.setLevel(worker.log.error_log.level)
        package.propagate = False


def child_exit(server, worker):
    board.release(worker.part)


def post_request(worker, req, environ, resp):
    """Let others go first: a kept connection that always has data would be served again and again."""
    import gevent

    if resp is not None and resp.status_code == 408:
        req.force_close()  # where in a body that was given up the next request begins, nobody knows
    gevent.sleep(0)


def worker_exit(server, worker):
    """Leave at once: the threads of CORBA do not survive an orderly end of the interpreter."""
    if worker.booted:
        worker.client.background.finish(settings.call_deadline)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
