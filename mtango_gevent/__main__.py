"""`python -m mtango_gevent` is the command `mtango-gevent`."""

import sys

from mtango_gevent.serving.cli import main

sys.exit(main())
