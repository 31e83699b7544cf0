"""The store of subscriptions, which all workers share: SQLite on one machine, Redis for several.

Its calls block, and are made in any thread. It knows neither Tango nor HTTP.
"""

from mtango_gevent.store.interface import Store, StoreError, StoreFull, Subscription, Target
from mtango_gevent.store.opening import check_store, open_store
from mtango_gevent.store.subscriptions import Subscriptions

__all__ = ["Store", "StoreError", "StoreFull", "Subscription", "Subscriptions", "Target", "check_store", "open_store"]
