// Forms that change something: sent to the admin API as JSON, told about where they are.
//
// data-api   METHOD /path of the admin API
// data-done  `reload`, `refresh`, a path to go to, or `#id` of a dialog that shows what was answered
import { refresh } from "./live.js";
import { ask } from "./session.js";
import { toast, toastLater } from "./toasts.js";

function valuesOf(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if (field.type === "checkbox") {
      values[field.name] = field.checked;
    } else if (field.value !== "" || field.required) {
      values[field.name] = field.dataset.kind === "json" ? JSON.parse(field.value) : field.value;
    }
  }
  return values;
}

function showAnswer(dialog, answer) {
  for (const place of dialog.querySelectorAll("[data-answer]")) {
    place.textContent = answer[place.dataset.answer] ?? "";
  }
  dialog.showModal();
}

async function send(form) {
  const [method, place] = form.dataset.api.split(" ");
  const problem = form.querySelector("[data-problem]");
  const button = form.querySelector("[type=submit]");
  if (problem) problem.hidden = true;
  button?.setAttribute("aria-busy", "true");
  try {
    const values = valuesOf(form);
    const hasValues = Object.keys(values).length > 0;
    const isDelete = method === "DELETE";
    const path = isDelete && hasValues ? `${place}?${new URLSearchParams(values)}` : place;
    const response = await ask(method, path, hasValues && !isDelete ? { json: values } : {});
    const answer = response.status === 204 ? {} : await response.json();
    await finish(form, answer);
  } catch (error) {
    if (problem) {
      problem.textContent = error.message;
      problem.hidden = false;
    } else {
      toast(error.message, true);
    }
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

async function finish(form, answer) {
  const done = form.dataset.done ?? "refresh";
  const said = form.dataset.said ?? "Saved";
  form.closest("dialog")?.close();
  if (done.startsWith("#")) {
    form.reset();
    showAnswer(document.querySelector(done), answer);
  } else if (done.startsWith("/")) {
    toastLater(said);
    location.assign(done);
  } else if (done === "reload") {
    toastLater(said);
    location.reload();
  } else {
    await refresh();
    toast(said);
  }
}

export function bindForms() {
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.api) return;
    event.preventDefault();
    send(event.target);
  });
  document.addEventListener("change", (event) => {
    // A switch or a choice that is a form of its own is sent when it is changed.
    if (event.target.dataset.submits !== undefined) event.target.form.requestSubmit();
  });
  for (const dialog of document.querySelectorAll("dialog[data-reloads]")) {
    dialog.addEventListener("close", () => location.reload());
  }
}
