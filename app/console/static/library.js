// A library: photos enrolled one after the other, each with its verdict; a photo searched for.
import { refresh } from "./live.js";
import { cropInto, drawFaces } from "./overlay.js";
import { dataUrl, fitting } from "./pictures.js";
import { ask } from "./session.js";

const page = document.querySelector("[data-library]");
const base = page.dataset.library;
const part = (name) => page.querySelector(`[data-${name}]`);
function verdictRow(file) {
  const row = document.createElement("li");
  row.className = "verdict";
  const picture = document.createElement("img");
  picture.src = URL.createObjectURL(file);
  picture.alt = "";
  const words = document.createElement("div");
  const name = document.createElement("b");
  name.textContent = file.name;
  const said = document.createElement("span");
  said.className = "muted";
  said.textContent = "Looking …";
  words.append(name, said);
  const badge = document.createElement("span");
  badge.className = "badge busy";
  badge.textContent = "waits";
  row.append(picture, words, badge);
  part("verdicts").prepend(row);
  return (kind, word, text) => {
    badge.className = `badge ${kind}`;
    badge.textContent = word;
    said.textContent = text;
  };
}

async function enrolAll(files) {
  const form = part("enrol");
  const given = form.elements.person_id.value.trim();
  const name = form.elements.name.value.trim();
  const rows = [...files].map((file) => [file, verdictRow(file)]);
  for (const [file, say] of rows) {
    const person = given || file.name.replace(/\.[^.]+$/, "");
    try {
      const json = { person_id: person, image_url: await dataUrl(await fitting(file)) };
      if (name) json.name = name;
      const answer = await (await ask("POST", `${base}/faces`, { json })).json();
      say("good", "enrolled", `${answer.person_id}: quality ${Math.round(answer.quality * 100)} %`);
    } catch (error) {
      say("bad", "refused", error.message ?? "This file is no picture.");
    }
  }
  await refresh();
}

function matchCard(face, picture) {
  const card = document.createElement("div");
  card.className = "face";
  card.dataset.face = face.face_id;
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const [x, y, width, height] = face.bbox;
  cropInto(canvas, picture, { x, y, width, height });
  const words = document.createElement("div");
  for (const match of face.matches) {
    const line = document.createElement("p");
    const name = document.createElement("b");
    name.textContent = match.name ?? match.person_id;
    const score = document.createElement("span");
    score.className = "muted";
    score.textContent = ` ${Math.round(match.score * 100)} %`;
    line.append(name, score);
    words.append(line);
  }
  if (!face.matches.length) {
    const nobody = document.createElement("p");
    nobody.className = "muted";
    nobody.textContent = "Nobody in this library.";
    words.append(nobody);
  }
  card.append(canvas, words);
  return card;
}

async function searchFor(file) {
  const problem = part("search-problem");
  const picture = part("search-picture");
  problem.hidden = true;
  part("matches").replaceChildren();
  part("search-overlay").replaceChildren();
  try {
    const fit = await fitting(file);
    URL.revokeObjectURL(picture.src);
    picture.hidden = false;
    picture.src = URL.createObjectURL(fit);
    part("search-start").hidden = true;
    part("search-frame").hidden = false;
    await picture.decode();
    const json = { image_url: await dataUrl(fit), top_k: 3 };
    const { faces } = await (await ask("POST", `${base}/search`, { json })).json();
    part("matches").replaceChildren(...faces.map((face) => matchCard(face, picture)));
    const size = { width: picture.naturalWidth, height: picture.naturalHeight };
    const draw = () =>
      drawFaces(
        part("search-overlay"),
        size,
        faces.map(({ face_id: key, bbox: [x, y, width, height], matches }) => ({
          key, x, y, width, height, tag: matches[0]?.name ?? matches[0]?.person_id ?? "?",
        })),
      );
    draw();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function bindDrop(place, take) {
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("is-over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("is-over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("is-over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
}

part("enrol").addEventListener("submit", (event) => event.preventDefault());
part("files").addEventListener("change", (event) => {
  enrolAll(event.target.files);
  event.target.value = "";
});
part("search-file").addEventListener("change", (event) => {
  if (event.target.files[0]) searchFor(event.target.files[0]);
});
bindDrop(part("drop"), enrolAll);
bindDrop(part("search-drop"), (files) => searchFor(files[0]));
