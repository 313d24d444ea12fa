// The page where a picture is tried.
import { drawFaces, faceCard, faceOf, light } from "./overlay.js";
import { dataUrl, fitting } from "./pictures.js";
import { ask } from "./session.js";
import { bindWipe } from "./wipe.js";

const page = document.querySelector("[data-try]");
const part = (name) => page.querySelector(`[data-${name}]`);
const [drop, start, stage, original, masked, overlay] = ["drop", "start", "stage", "original", "masked", "overlay"].map(part);
const [wipe, busy, problem, results, controls] = ["wipe", "busy", "problem", "results", "controls"].map(part);
const WAIT_MS = 180;

let picture = null;
let mode = "detect";
let running = null;
let waiting = 0;
let answer = null;

function query() {
  const params = new URLSearchParams();
  for (const field of controls.elements) {
    const holder = field.closest("[data-only]");
    if (!field.name || (holder && holder.dataset.only !== mode)) continue;
    if (field.type === "checkbox" || field.name === "library") continue;
    if (field.value !== "" && field.value !== field.getAttribute("value") && field.value !== usual(field)) {
      params.set(field.name, field.value);
    }
  }
  if (mode === "detect") {
    const wanted = [...controls.querySelectorAll("[name=attributes]:checked")].map((box) => box.value);
    if (wanted.length) params.set("attributes", wanted.join(","));
  }
  return params.size ? `?${params.toString().replaceAll("%2C", ",")}` : "";
}

function usual(field) {
  return field.tagName === "SELECT" ? field.options[0].value : null;
}

function curl() {
  const name = picture.name.replaceAll(/["\\$`]/g, "_");
  const key = page.dataset.needsKey ? ' -H "X-API-Key: $KEY"' : "";
  const out = mode === "mask" ? ` -o hidden.${controls.elements.format.value === "jpeg" ? "jpg" : controls.elements.format.value}` : "";
  return `curl -X POST "${page.dataset.url}/api/v1/${mode}${query()}"${key} -F "image=@${name}"${out}`;
}

function meter(value, name) {
  const made = document.createElement("div");
  made.className = "meter";
  const number = document.createElement("b");
  const label = document.createElement("span");
  number.textContent = value;
  label.textContent = name;
  made.append(number, label);
  return made;
}

function showAnswer() {
  const { image, detections, processing, output } = answer;
  part("meters").replaceChildren(
    meter(detections.length, detections.length === 1 ? "face" : "faces"),
    meter(`${processing.total_ms.toFixed(0)} ms`, "in all"),
    meter(`${processing.inference_ms.toFixed(0)} ms`, processing.model),
    meter(`${image.width} × ${image.height}`, "pixels"),
  );
  part("faces").replaceChildren(...detections.map((found) => faceCard(found, original)));
  if (!detections.length) {
    const nothing = document.createElement("p");
    nothing.className = "muted";
    nothing.textContent = "No face is this sure. A lower confidence shows more.";
    part("faces").append(nothing);
  }
  const shown = output ? { ...answer, output: { ...output, image_base64: `${output.image_base64.slice(0, 24)}…` } } : answer;
  document.getElementById("json").textContent = JSON.stringify(shown, (key, value) => (key === "person" ? undefined : value), 2);
  document.getElementById("curl").textContent = curl();
  const isMask = Boolean(output);
  const download = part("download");
  download.hidden = !isMask;
  if (isMask) {
    const bytes = Uint8Array.from(atob(output.image_base64), (letter) => letter.charCodeAt(0));
    URL.revokeObjectURL(masked.src);
    masked.src = download.href = URL.createObjectURL(new Blob([bytes], { type: `image/${output.format}` }));
    download.download = `hidden.${output.format === "jpeg" ? "jpg" : output.format}`;
  }
  masked.hidden = wipe.hidden = !isMask;
  overlay.toggleAttribute("hidden", isMask);
  if (!isMask) drawFaces(overlay, image, detections.map(faceOf));
  results.hidden = false;
}

// Who the faces are, of a library: found in the same picture, and put to the faces by where they are.
async function addPeople(found, signal) {
  const library = controls.elements.library?.value;
  if (!library || mode !== "detect" || !found.detections.length) return;
  const fit = await fitting(picture);
  const scale = fit === picture ? 1 : (await createImageBitmap(fit)).width / found.image.width;
  const json = { image_url: await dataUrl(fit) };
  const path = `/api/v1/admin/libraries/${encodeURIComponent(library)}/search`;
  const { faces } = await (await ask("POST", path, { json, signal })).json();
  for (const face of faces) {
    const x = (face.bbox[0] + face.bbox[2] / 2) / scale;
    const y = (face.bbox[1] + face.bbox[3] / 2) / scale;
    const nearest = found.detections.find(
      ({ bbox, center }) =>
        Math.hypot(center.x - x, center.y - y) < Math.min(bbox.x2 - bbox.x1, bbox.y2 - bbox.y1) / 2,
    );
    if (nearest && face.matches[0]) nearest.person = face.matches[0];
  }
}

async function run() {
  if (!picture) return;
  running?.abort();
  const mine = (running = new AbortController());
  busy.hidden = false;
  try {
    const form = new FormData();
    form.set("image", picture, picture.name);
    const response = await ask("POST", `/api/v1/admin/test/${mode}${query()}`, { form, signal: mine.signal });
    answer = await response.json();
    await addPeople(answer, mine.signal);
    await original.decode().catch(() => {});
    if (mine.signal.aborted) return;
    problem.hidden = true;
    showAnswer();
  } catch (error) {
    if (error.name === "AbortError") return;
    problem.textContent = error.message;
    problem.hidden = false;
    results.hidden = true;
    overlay.replaceChildren();
  } finally {
    if (running === mine) busy.hidden = true;
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(run, WAIT_MS);
}

function take(file) {
  if (!file) return;
  if (file.size > Number(page.dataset.mostBytes)) {
    problem.textContent = "This picture is larger than the service accepts.";
    problem.hidden = false;
    return;
  }
  picture = file;
  URL.revokeObjectURL(original.src);
  original.hidden = false;
  original.src = URL.createObjectURL(file);
  masked.hidden = wipe.hidden = true;
  overlay.replaceChildren();
  start.hidden = true;
  stage.hidden = false;
  part("other").hidden = false;
  drop.classList.add("has-picture");
  run();
}

part("file").addEventListener("change", (event) => take(event.target.files[0]));
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("is-over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("is-over");
  take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) take(file);
});
for (const sample of page.querySelectorAll("[data-sample]")) {
  sample.addEventListener("click", async () => {
    const data = await (await fetch(sample.dataset.sample)).blob();
    take(new File([data], sample.dataset.name, { type: data.type }));
  });
}
controls.addEventListener("submit", (event) => event.preventDefault());
controls.addEventListener("input", (event) => {
  const label = event.target.closest(".range");
  if (label) label.querySelector("output").textContent = event.target.value;
  soon();
});
document.querySelector("[data-modes]").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || button.value === mode) return;
  mode = button.value;
  for (const each of event.currentTarget.children) each.setAttribute("aria-pressed", String(each === button));
  for (const each of controls.querySelectorAll("[data-only]")) each.hidden = each.dataset.only !== mode;
  run();
});
bindWipe(stage);
for (const place of [overlay, part("faces")]) {
  place.addEventListener("pointerover", (event) => {
    light([overlay, part("faces")], event.target.closest("[data-face]")?.dataset.face);
  });
  place.addEventListener("pointerleave", () => light([overlay, part("faces")], undefined));
}
new ResizeObserver(() => {
  if (answer && mode === "detect" && !results.hidden) drawFaces(overlay, answer.image, answer.detections.map(faceOf));
}).observe(original);

const tabs = part("tabs");
function openTab(tab) {
  for (const each of tabs.children) {
    const isOpen = each === tab;
    each.setAttribute("aria-selected", String(isOpen));
    each.tabIndex = isOpen ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = !isOpen;
  }
}
tabs.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) openTab(tab);
});
tabs.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const all = [...tabs.children];
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  openTab(next);
  next.focus();
});
