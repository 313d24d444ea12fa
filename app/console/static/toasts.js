// Short news at the edge of the page; screen readers hear them too.
const LASTS_MS = 5000;

export function toast(text, isBad = false) {
  const place = document.querySelector("[data-toasts]");
  const note = document.createElement("div");
  note.className = isBad ? "toast bad" : "toast";
  note.textContent = text;
  place.append(note);
  setTimeout(() => note.remove(), LASTS_MS);
}

// For news of a page that is about to be left.
export function toastLater(text) {
  try {
    sessionStorage.setItem("toast", text);
  } catch {
    // Then nobody is told; what was done is done.
  }
}

try {
  const waiting = sessionStorage.getItem("toast");
  if (waiting) {
    sessionStorage.removeItem("toast");
    toast(waiting);
  }
} catch {
  // As above.
}
