"""A small Tango of one's own: a database and device servers, for `mtango-gevent demo` and for the tests.

`embedded.EmbeddedTango` starts and stops it and is safe to import anywhere: only the processes it starts load PyTango.
"""
