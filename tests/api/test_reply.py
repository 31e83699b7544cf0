"""JSON that is kept."""

from __future__ import annotations

import tracemalloc

from mtango_gevent.api import reply


def test_json_to_keep_takes_memory_of_its_size() -> None:
    number = 100
    kept = list[bytes]()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept += [reply.encode_to_keep({"label": "x" * 300}) for _ in range(number)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept[0] == reply.encode({"label": "x" * 300})
    assert after - before < 1000 * number  # orjson alone takes 4 kB of each
