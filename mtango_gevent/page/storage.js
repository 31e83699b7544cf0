/** The browser's storage; one of this page alone where the browser refuses it, as with all cookies blocked. */

class Memory {
  texts = new Map();
  getItem = (key) => this.texts.get(key) ?? null;
  setItem = (key, text) => this.texts.set(key, String(text));
  removeItem = (key) => this.texts.delete(key);
}

function open(name) {
  try {
    return window[name] ?? new Memory();
  } catch {
    return new Memory();
  }
}

/** What stays when the browser is closed, and what ends with the tab. */
export const lasting = open("localStorage"), ofTab = open("sessionStorage");

/** Return the object that a storage has in JSON, null for anything else. */
export function readObject(storage, key) {
  try {
    const found = JSON.parse(storage.getItem(key));
    return typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}
