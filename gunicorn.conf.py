"""gunicorn's configuration. gunicorn reads it before the fork: it imports neither PyTango nor anything that patches."""

import functools
import logging
import os
import signal
import sys

from mtango_gevent import logs, scoreboard, tango_environment
from mtango_gevent.config import Config, ConfigError
from mtango_gevent.serving import exposure, request_parser, stopping

try:
    settings = Config.load()
    http_parser = request_parser.chosen(settings.http_parser)
except ConfigError as error:
    sys.exit(f"mtango-gevent: {error}")

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.workers or len(os.sched_getaffinity(0))  # a waiting request needs no worker of its own
worker_class = "mtango_gevent.serving.worker.GatewayWorker"  # gevent: a waiting request costs a greenlet, not a thread
# Requests that wait for events, and streams, leave room for all others.
worker_connections = 1000 + settings.event_limit + settings.stream_limit
timeout = 60  # Tango calls do not block the hub: a worker that is silent for so long is broken
graceful_timeout = stopping.graceful_timeout(settings)  # for requests, then for asynchronous jobs
keepalive = 75  # longer than browsers and proxies (nginx: 60) keep an idle connection
limit_request_line = 8190  # gunicorn's maximum: a request for many attributes names them all in its URL
limit_request_fields = 100
limit_request_field_size = 8190  # room for cookies and tokens
max_requests = settings.max_requests
max_requests_jitter = settings.max_requests // 10  # so that the workers do not end at the same time
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a heartbeat that does not wait for a disk
control_socket_disable = True  # gunicorn 27 would make one in a home directory
# X-Forwarded-* is believed according to MTANGO_TRUSTED_PROXIES alone: of no peer gunicorn takes any of its headers, and
# it need not parse the address of each peer to know that.
forwarded_allow_ips = "*"
secure_scheme_headers = {}
forwarder_headers = ""
header_map = "drop"  # `X_Remote_User` is not taken for `X-Remote-User`, which a proxy replaces
preload_app = False  # see on_starting
loglevel = "debug" if settings.debug else "info"
if settings.log_format == "json":
    logconfig_dict = logs.in_json(loglevel.upper(), tango_environment.can_trace())


board = scoreboard.share()


def on_starting(server):
    """Refuse options of the command line with which the gateway does not work.

    gevent must patch a worker before PyTango is loaded, and nothing of Tango survives a fork.
    """
    if server.cfg.preload_app:
        sys.exit("mtango-gevent: --preload loads PyTango before the fork, after which its calls would block a worker")
    if "trusted-header" in settings.auth and server.cfg.header_map == "dangerous":
        sys.exit("mtango-gevent: MTANGO_AUTH: trusted-header does not go with --header-map dangerous")
    board.make_folder(server.cfg.uid, server.cfg.gid)


def when_ready(server):
    """Warn once for all workers, of the addresses in use, which `-b` and systemd may decide."""
    warning = exposure.warning(settings, [listener.getsockname() for listener in server.LISTENERS])
    if warning:
        server.log.warning("%s", warning)


def ssl_context(config, default_ssl_context_factory):
    """Leave the TLS handshake to the worker, which bounds its time: gevent would wait for it without a limit."""
    context = default_ssl_context_factory()
    context.wrap_socket = functools.partial(context.wrap_socket, do_handshake_on_connect=config.do_handshake_on_connect)
    return context


def pre_fork(server, worker):
    worker.slot = board.reserve()
    worker.is_first = worker.age <= server.cfg.workers


def post_fork(server, worker):
    # The worker inherits the master's handler, which would swallow the signal until the worker has its own.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _log_as_gunicorn_does(worker)
    worker.log.error_log.addFilter(logs.Redaction())
    if not (worker.cfg.logconfig or worker.cfg.logconfig_json):  # whose formats may show them
        _leave_out_unused_facts()


def _log_as_gunicorn_does(worker):
    """Send the package's log where gunicorn's goes."""
    package = logging.getLogger("mtango_gevent")
    if settings.log_format == "text":
        package.handlers = worker.log.error_log.handlers
        for handler in package.handlers:
            if handler.formatter.datefmt:  # syslog has times of its own
                handler.setFormatter(logs.TextFormatter(worker.log.error_fmt, worker.log.datefmt))
        package.setLevel(worker.log.error_log.level)
        package.propagate = False


def _leave_out_unused_facts():
    """Have records of the log without source line and thread: no format shows them, and they cost 5 us of each line."""
    logging._srcfile = None  # as the HOWTO of logging says under "Optimization"
    logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False


def child_exit(server, worker):
    board.release(worker.slot)


def on_exit(server):
    board.remove_folder()


def post_request(worker, req, environ, resp):
    """Let other greenlets run: a kept connection that always has data would be served again and again."""
    import gevent

    if getattr(resp, "status_code", None) == 408:  # a response that was not begun has none
        req.force_close()  # the beginning of the next request is unknown after a body that was given up
    gevent.sleep(0)


def worker_exit(server, worker):
    """End the process at once: the threads of CORBA do not survive an orderly end of the interpreter."""
    if worker.booted:
        try:
            worker.client.background.finish(settings.call_deadline)
            worker.audit.finish(2)
            worker.client.tracing.finish(worker.client.pool, 2)
        except Exception:
            logging.getLogger("mtango_gevent").exception("the worker has not ended in order")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
