// Requests to the admin API. Where the session ended meanwhile, a dialog asks for the password, and the request
// goes on from there: whatever the viewer was doing stays as it is.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let loggingIn = null;

async function reasonOf(response) {
  try {
    const said = await response.clone().json();
    return said.detail ?? said.error?.message ?? response.statusText;
  } catch {
    return response.statusText || `Status ${response.status}`;
  }
}

function logIn() {
  loggingIn ??= new Promise((resolve) => {
    const dialog = document.querySelector("[data-login]");
    const form = dialog.querySelector("form");
    const problem = dialog.querySelector("[data-problem]");
    const submit = async (event) => {
      event.preventDefault();
      const body = JSON.stringify({
        username: form.elements.username.value,
        password: form.elements.password.value,
      });
      const response = await fetch("/api/v1/admin/auth/login", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      });
      form.elements.password.value = "";
      if (!response.ok) {
        problem.textContent = await reasonOf(response);
        problem.hidden = false;
        form.elements.password.focus();
        return;
      }
      form.removeEventListener("submit", submit);
      problem.hidden = true;
      dialog.close();
      loggingIn = null;
      resolve();
    };
    form.addEventListener("submit", submit);
    // Escape would leave a request waiting for ever.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
    form.elements.password.focus();
  });
  return loggingIn;
}

export async function ask(method, path, { json, form, signal } = {}) {
  const options = { method, signal, headers: {} };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  } else if (form !== undefined) {
    options.body = form;
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The service does not answer. Is it running, and is this machine connected?");
  }
  if (response.status === 401) {
    await logIn();
    signal?.throwIfAborted();
    return ask(method, path, { json, form, signal });
  }
  if (!response.ok) throw new Refused(response.status, await reasonOf(response));
  return response;
}

export async function sessionIsOver() {
  await logIn();
}
