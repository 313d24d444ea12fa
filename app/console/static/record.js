// A kept picture with the faces that were found in it.
import { drawFaces, faceCard, faceOf, light } from "./overlay.js";
import { bindWipe } from "./wipe.js";

const view = document.querySelector("[data-record]");
const original = view.querySelector("[data-original]");
const overlay = view.querySelector("[data-overlay]");
const places = [overlay, document.querySelector("[data-faces]")];
const detections = JSON.parse(view.dataset.detections);
const size = { width: Number(view.dataset.width), height: Number(view.dataset.height) };
const isMasked = Boolean(view.querySelector("[data-masked]"));

bindWipe(view.querySelector("[data-stage]"));
await original.decode().catch(() => {});
if (detections.length) {
  places[1].replaceChildren(...detections.map((found) => faceCard(found, original)));
}
if (!isMasked) {
  const draw = () => drawFaces(overlay, size, detections.map(faceOf));
  new ResizeObserver(draw).observe(original);
  draw();
}
for (const place of places) {
  place.addEventListener("pointerover", (event) => light(places, event.target.closest("[data-face]")?.dataset.face));
  place.addEventListener("pointerleave", () => light(places, undefined));
}
