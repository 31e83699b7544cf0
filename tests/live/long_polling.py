"""Run by the tests in a process of its own: many clients that ask for the next event again and again.

    long_polling.py PORT PATH CLIENTS SECONDS

Prints one line of JSON: for each client its [value, milliseconds since the event] pairs, and how many requests failed.
What comes in the first second, while all connect, does not count.
"""

from gevent import monkey

monkey.patch_all()

import http.client
import json
import sys
import time

import gevent


def ask(port: int, path: str, begin: float, until: float) -> tuple[list[list[float]], int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    events, failures, query = [], 0, ""
    while time.time() < until:
        connection.request("GET", path + query)
        answer = json.loads(connection.getresponse().read())
        if "value" in answer:
            if time.time() > begin:
                events.append([answer["value"], time.time() * 1000 - answer["timestamp"]])
            query = f"?last={answer['timestamp']}"
        else:
            failures += 1
    return events, failures


if __name__ == "__main__":
    port, path, clients, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    begin = time.time() + 1
    asking = [gevent.spawn(ask, port, path, begin, begin + seconds) for _ in range(clients)]
    gevent.joinall(asking, raise_error=True)
    found = [client.value for client in asking]
    print(json.dumps({"events": [events for events, _ in found], "failures": sum(failures for _, failures in found)}))
