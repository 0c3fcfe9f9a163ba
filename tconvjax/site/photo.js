// A photograph as y, and the z that the setting makes of it: a grid shows if the phases of the
// kernel do not add up alike.

const PHOTO = 64; // pixels of y along an axis, fewer where the stride makes many of them
const WIDEST = 512; // pixels of z along an axis

// The sums of the taps that meet an element of z, by its place within a stride.
function phaseSums(a, w) {
  const all = axes(a), shape = a.stride, sums = Array(count(shape)).fill(0);
  combinations(all.map((x) => range(x.kernel))).forEach((t, n) => {
    sums[ravel(t.map((at, k) => (at * all[k].dilation) % shape[k]), shape)] += w[n];
  });
  return sums;
}

// One channel of z, row by row, for a channel of y of this many rows and columns.
function spread(a, w, plane, sizes) {
  const [down, across] = axes(a).map((x, n) => ({ ...x, size: sizes[n] }));
  const [height, width] = [down, across].map(inSize), z = new Float32Array(height * width);
  for (let i = 0; i < down.size; i++) {
    for (let t = 0; t < down.kernel; t++) {
      const r = source(down.mode, down.stride * i + down.dilation * t - down.low, height);
      if (r < 0) continue;
      for (let j = 0; j < across.size; j++) {
        for (let u = 0; u < across.kernel; u++) {
          const c = source(across.mode, across.stride * j + across.dilation * u - across.low, width);
          if (c < 0) continue;
          z[r * width + c] += plane[i * across.size + j] * w[t * across.kernel + u];
        }
      }
    }
  }
  return { z, height, width };
}

// A landscape that needs no file: sky, sun, two ridges and a field.
function landscape(pen, width, height) {
  const shade = (from, to, top, bottom) => {
    const found = pen.createLinearGradient(0, top * height, 0, bottom * height);
    found.addColorStop(0, from);
    found.addColorStop(1, to);
    return found;
  };
  const ridge = (colours, level, rise, waves, shift) => {
    pen.fillStyle = shade(...colours, level - rise, 1);
    pen.beginPath();
    pen.moveTo(0, height);
    for (let x = 0; x <= width; x++) {
      const at = (waves * x) / width + shift;
      pen.lineTo(x, height * (level - rise * (0.7 * Math.sin(at) + 0.3 * Math.sin(2.3 * at))));
    }
    pen.lineTo(width, height);
    pen.fill();
  };
  pen.fillStyle = shade("#3b6fb5", "#f6d9a8", 0, 0.6);
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#fff3c4";
  pen.beginPath();
  pen.arc(0.7 * width, 0.28 * height, 0.1 * width, 0, 2 * Math.PI);
  pen.fill();
  ridge(["#8a93b0", "#6f7f86"], 0.52, 0.12, 7, 1);
  ridge(["#4f6b4a", "#2f4a33"], 0.68, 0.09, 5, 4);
  ridge(["#9aa653", "#c7b25a"], 0.85, 0.03, 9, 2);
}

// The two pictures and the choice of a file. It is made once; `show` draws them for a setting.
class Photo {
  constructor(words) {
    this.words = words;
    this.image = null;
    this.y = make("canvas", { role: "img", "aria-label": words.photo.y });
    this.z = make("canvas", { role: "img", "aria-label": words.photo.z });
    this.note = make("p", { class: "note" });
    const file = make("input", { type: "file", accept: "image/*" });
    file.addEventListener("change", () => this.open(file.files[0]));
    const arrow = make("span", { class: "sign", "aria-hidden": "true" }, "→");
    this.parts = [make("div", { class: "row photo" }, this.y, arrow, this.z),
      this.note, make("label", {}, words.photo.choose, file)];
  }

  async open(file) {
    if (!file) return;
    try {
      this.image = await createImageBitmap(file);
      this.show(...this.shown);
    } catch { // a file that holds no picture
      this.note.textContent = this.words.photo.unread;
    }
  }

  // w is the kernel of the first group.
  show(a, w) {
    this.shown = [a, w];
    const all = axes(a), sizes = all.map((x) => Math.max(8, Math.min(PHOTO, Math.floor(WIDEST / x.stride))));
    const [height, width] = sizes;
    Object.assign(this.y, { width, height });
    const pen = this.y.getContext("2d", { willReadFrequently: true });
    if (this.image) {
      const side = Math.min(this.image.width, this.image.height);
      const [left, top] = [this.image.width, this.image.height].map((size) => (size - side) / 2);
      pen.drawImage(this.image, left, top, side, side, 0, 0, width, height);
    } else landscape(pen, width, height);
    const pixels = pen.getImageData(0, 0, width, height).data;
    const [total, size] = [(value) => value, Math.abs].map((of) => w.reduce((sum, value) => sum + of(value), 0));
    // As bright as y, or about grey if the taps add up to nothing.
    const flat = Math.abs(total) < 1e-9, shift = flat ? 128 : 0;
    const scale = count(a.stride) / (flat ? size || 1 : total);
    let made;
    for (const channel of [0, 1, 2]) {
      const found = spread(a, w, pixels.filter((_, n) => n % 4 === channel), sizes);
      made ??= new ImageData(found.width, found.height);
      found.z.forEach((value, n) => { made.data[4 * n + channel] = scale * value + shift; });
    }
    made.data.forEach((_, n) => { if (n % 4 === 3) made.data[n] = 255; });
    Object.assign(this.z, { width: made.width, height: made.height });
    this.z.getContext("2d").putImageData(made, 0, 0);
    const sums = phaseSums(a, w), whole = common(w), texts = sums.map((sum) => written(sum, whole));
    const even = alike(texts);
    this.note.textContent = even ? this.words.photo.even(texts[0])
      : this.words.photo.uneven(texts.length > 9 ? [...new Set(texts)].slice(0, 9) : texts);
  }
}
