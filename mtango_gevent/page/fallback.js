/** Server-sent events, where a WebSocket is refused. */

export async function openFallback() {
  throw new Error("not there yet");
}
