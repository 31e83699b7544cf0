"""Twenty tabs with live values over WebSocket, while REST calls of the same browser are answered."""

from __future__ import annotations

from pathlib import Path

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, served

from .conftest import PageServer

TABS = 20

# Each tab reports once all have live values: the server of the gateway counts the streams that are open.
PAGE = """<!doctype html>
<meta charset="utf-8">
<script>
const found = {values: 0, numbers: 0, statuses: [], errors: []};
const socket = new WebSocket("ws://$GATEWAY/tango/stream", ["mtango.v1"]);
socket.binaryType = "arraybuffer";
socket.onopen = () => socket.send(JSON.stringify({subscribe: [
  {id: 1, device: "$DEVICE", attribute: "long_scalar"},
  {id: 2, device: "$DEVICE", attribute: "double_spectrum", binary: true}]}));
socket.onmessage = message => {
  if (message.data instanceof ArrayBuffer) found.numbers = new Float64Array(message.data, 40).length;
  else found.values += (JSON.parse(message.data).records ?? []).filter(record => record.id === 1).length;
};
socket.onerror = socket.onclose = event => found.errors.push(event.type + event.code);

(async () => {
  const until = Date.now() + 40000;
  let open = 0;
  while ((found.values < 3 || !found.numbers || open < $TABS) && !found.errors.length && Date.now() < until) {
    const answer = await fetch("http://$GATEWAY/tango/rest/sys/streams");
    found.statuses.push(answer.status);
    open = Math.max(open, (await answer.json()).length);
    await new Promise(done => setTimeout(done, 200));
  }
  found.open = open;
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>
"""


def test_twenty_tabs_have_live_values_while_rest_calls_are_answered(
    tango_system: EmbeddedTango, tmp_path: Path, pages: PageServer
) -> None:
    with served(COMMAND, tmp_path / "log", MTANGO_CORS_ORIGINS=f"http://127.0.0.1:{pages.port}") as gateway:
        page = PAGE.replace("$GATEWAY", f"127.0.0.1:{gateway.port}").replace("$DEVICE", DEMO_DEVICE)
        tabs = pages.reports(page.replace("$TABS", str(TABS)), "127.0.0.1", tmp_path / "profile", TABS)
    assert {found["open"] for found in tabs} == {TABS}
    for found in tabs:
        assert found["errors"] == []
        assert found["values"] >= 3, found
        assert found["numbers"] > 0
        assert set(found["statuses"]) == {200}
