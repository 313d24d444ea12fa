// Pictures on their way into a request that holds them as text.
const SMALLER_PX = 1600;
const MOST_BYTES = 3_600_000;

export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// What is too large for a request is made smaller here; a face needs no more pixels than that.
export async function fitting(file) {
  if (file.size <= MOST_BYTES && /^image\/(jpeg|png|webp|bmp)$/.test(file.type)) return file;
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, SMALLER_PX / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.round(picture.width * scale), Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}
