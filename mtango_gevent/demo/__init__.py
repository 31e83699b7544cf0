"""A small Tango control system, a database and device servers, for `mtango-gevent demo` and for the tests.

`embedded.EmbeddedTango` starts and stops it. It is safe to import: only the processes that it starts load PyTango.
"""
