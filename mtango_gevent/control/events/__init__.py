"""Tango's events, for any number of clients that wait for them.

stream -> hub -> poller -> subscription -> channel -> buffer; configuration.py drops cached metadata that has changed.
"""

from mtango_gevent.control.events.admission import Turn
from mtango_gevent.control.events.buffer import Cursor, Event
from mtango_gevent.control.events.configuration import ConfigurationWatch
from mtango_gevent.control.events.feed import Feed, Filter, Record
from mtango_gevent.control.events.hub import EventHub
from mtango_gevent.control.events.listener import Listener
from mtango_gevent.control.events.open_streams import OpenStreams
from mtango_gevent.control.events.source import KINDS, SUBSCRIBES_WITHOUT_READING, Source
from mtango_gevent.control.events.stream import Stream, StreamClosed

__all__ = [
    "KINDS",
    "SUBSCRIBES_WITHOUT_READING",
    "ConfigurationWatch",
    "Cursor",
    "Event",
    "EventHub",
    "Feed",
    "Filter",
    "Listener",
    "OpenStreams",
    "Record",
    "Source",
    "Stream",
    "StreamClosed",
    "Turn",
]
