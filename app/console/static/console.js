// What every page has: times in the viewer's zone, copying, dialogs, forms, the theme, the menu, fresh data.
import { bindForms } from "./forms.js";
import { keepFresh } from "./live.js";
import { bindPlots } from "./plots.js";
import { showTimes } from "./times.js";
import { toast } from "./toasts.js";

function bindCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const text = "value" in source ? source.value : source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      // No clipboard without https: leave the text selected for the viewer's own keys.
      getSelection().selectAllChildren(source);
      toast("Selected: press Ctrl+C");
    }
  });
}

function bindDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
    if (event.target instanceof HTMLDialogElement && !event.target.dataset.stays && !("login" in event.target.dataset)) {
      event.target.close();
    }
  });
}

function bindTheme() {
  const group = document.querySelector("[data-themes]");
  if (!group) return;
  const root = document.documentElement;
  const mark = () => {
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === (root.dataset.theme ?? "auto")));
    }
  };
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.value === "auto") {
      delete root.dataset.theme;
    } else {
      root.dataset.theme = button.value;
    }
    try {
      localStorage.setItem("theme", button.value);
    } catch {
      // It holds for this page, then.
    }
    mark();
  });
  mark();
}

function bindMenu() {
  const button = document.querySelector("[data-menu]");
  if (!button) return;
  const side = document.getElementById("side");
  const open = (isOpen) => {
    side.classList.toggle("is-open", isOpen);
    button.setAttribute("aria-expanded", String(isOpen));
  };
  button.addEventListener("click", () => open(!side.classList.contains("is-open")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && side.classList.contains("is-open")) {
      open(false);
      button.focus();
    }
  });
}

function bindFilters() {
  for (const form of document.querySelectorAll("form[data-filters]")) {
    form.addEventListener("change", () => form.requestSubmit());
    form.addEventListener("submit", () => {
      // Addresses without empty names are shorter, and the same for the same list.
      for (const field of form.elements) if (field.value === "") field.disabled = true;
    });
  }
}

function bindPictures() {
  // A picture that cannot be shown leaves its frame and no broken sign.
  document.addEventListener(
    "error",
    (event) => {
      if (event.target instanceof HTMLImageElement) event.target.hidden = true;
    },
    true,
  );
}

showTimes(document);
bindCopying();
bindDialogs();
bindTheme();
bindMenu();
bindFilters();
bindPictures();
bindForms();
bindPlots(document);
keepFresh((fresh) => {
  showTimes(fresh);
  bindPlots(fresh);
});
