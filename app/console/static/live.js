// Parts of a page that stay fresh: the page is asked for again, and what changed in them is put in place.
//
// main[data-every] holds the seconds; each part has data-live with a name of its own on the page.
import { sessionIsOver } from "./session.js";

let afterwards = () => {};

// Read as a document, by the browser's own parser: no text of ours ever becomes markup here.
function fetchPage(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Error("no answer"));
    request.send();
  });
}

function isInUse(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, dialog *");
}

export async function refresh() {
  const request = await fetchPage(location.href);
  if (new URL(request.responseURL).pathname === "/login") {
    await sessionIsOver();
    return refresh();
  }
  if (request.status !== 200 || !request.response) return;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = request.response.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!fresh || isInUse(part) || fresh.outerHTML === part.dataset.was) continue;
    const was = fresh.outerHTML;
    const isOver = fresh.hidden && !part.hidden;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const placed = document.importNode(fresh, true);
    afterwards(placed);
    part.replaceWith(placed);
    placed.dataset.was = was;
    if (focused) document.getElementById(focused)?.focus();
    placed.dispatchEvent(new CustomEvent("fresh", { bubbles: true, detail: { isOver } }));
  }
}

export function keepFresh(bind) {
  afterwards = bind;
  const loop = async () => {
    const every = Number(document.querySelector("[data-every]")?.dataset.every ?? 0);
    setTimeout(loop, (every || 5) * 1000);
    if (!every || document.hidden || document.querySelector("dialog[open]")) return;
    try {
      await refresh();
    } catch {
      // The service is away; the next time may go better.
    }
  };
  setTimeout(loop, 2000);
}

// What is followed has come to an end: the whole page is different then.
document.addEventListener("fresh", (event) => {
  if (event.target.dataset.live === "progress" && event.detail.isOver) location.reload();
});
