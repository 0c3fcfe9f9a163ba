// The controls of the element, and the line with the sentence.

const EXAMPLES = {
  checkerboard: { dimension: 2, out_size: 3, kernel: 3, stride: 2 },
  shuffle: { dimension: 2, out_size: 3, kernel: 2, stride: 2 },
  padding: { dimension: 2, out_size: 3, kernel: 3, padding: 1 },
  extra: { dimension: 2, out_size: 3, kernel: 3, stride: 2, padding: 1, output_padding: 1 },
  dilation: { dimension: 2, out_size: 2, kernel: 3, dilation: 2 },
  gaps: { dimension: 2, out_size: 3, kernel: 2, stride: 3 },
  line: { dimension: 1, out_size: 4, kernel: 5, stride: 2, padding: 1 },
  groups: { dimension: 1, out_size: 3, kernel: 3, stride: 2, groups: 2 },
  channels: { dimension: 2, out_size: 2, kernel: 2, in_channels: 2, out_channels: 2 },
};
// Folded where the attribute `parts` does not say which parts are shown.
const RARE = ["dilation", "groups", ...CHANNELS, "padding_mode", "compare"];

class Controls extends Playing {
  button(text, act, kind) {
    const made = make("button", { type: "button", class: kind }, text);
    made.addEventListener("click", act);
    return made;
  }

  choice(label, options, chosen) {
    const select = make("select", { "aria-label": label },
      ...options.map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => chosen(select.value));
    return [make("label", {}, label, select), select];
  }

  buildControls() {
    const { words } = this;
    this.controls = {};
    const [dimension, axesOf] = this.choice(words.controls.dimension, [1, 2].map((n) => [n, words.axes(n)]),
      (value) => { this.change({ dimension: Number(value) }); this.keep(); });
    this.axesOf = axesOf;
    const rows = Object.fromEntries(Object.keys(RANGES).map((name) => {
      const label = words.controls[name], { least } = RANGES[name];
      const slider = make("input", { type: "range", min: least, step: 1, "aria-label": label });
      const field = make("input", { "aria-label": words.typed(label), title: words.typing });
      slider.addEventListener("input", () => this.change({ [name]: Number(slider.value) }));
      slider.addEventListener("change", () => this.keep(name));
      slider.addEventListener("blur", () => { this.keptBy = null; });
      field.addEventListener("change", () => this.changeTo(name, field.value));
      this.controls[name] = { slider, field };
      return [name, make("label", {}, label, slider, field)];
    }));
    const [padding_mode, modes] = this.choice(words.controls.padding_mode,
      MODES.map((name) => [name, words.modes[name]]),
      (value) => { this.change({ padding_mode: value }); this.keep(); });
    this.mode = modes;
    const [example, select] = this.choice(words.example, Object.entries(words.examples), (value) => {
      if (EXAMPLES[value]) this.change(setting(EXAMPLES[value]));
      this.unfold();
      select.value = value;
      this.keep();
    });
    this.example = select;
    const [preset, kernel] = this.choice(words.preset, Object.entries(words.presets), (value) => {
      this.setKernel(value);
    });
    this.kernel = kernel;
    const [shows, counted] = this.choice(words.shows, Object.entries(words.shown), (value) => {
      this.counts = value === "counts";
      this.draw();
      this.keep();
    });
    this.counted = counted;
    this.keeper = this.button(words.compared.keep, () => this.compare());
    const pasted = make("input", { "aria-label": words.paste, placeholder: words.pasted, spellcheck: "false" });
    pasted.addEventListener("change", () => this.readLine(pasted.value));
    pasted.addEventListener("input", ({ inputType }) => inputType === "insertFromPaste" && this.readLine(pasted.value));
    const all = Object.entries({ example, dimension, ...rows, padding_mode, preset, shows, compare: this.keeper,
      paste: make("label", { class: "wide" }, words.paste, pasted) });
    const group = (label, folds) => make("div", { class: "controls", role: "group", "aria-label": label },
      ...all.filter(([name]) => folds === !(this.parts ? this.parts.includes(name) : !RARE.includes(name)))
        .map(([, control]) => control));
    const more = words.fold[this.parts ? "views" : "controls"];
    this.more = make("details", {}, make("summary", {}, more), group(more, true));
    return group(words.title, false);
  }

  // Opens the rare settings if one of them is unusual.
  unfold() {
    const { setting: a } = this, ones = [a.groups, ...CHANNELS.map((name) => a[name]), ...a.dilation];
    if (!this.parts && (Math.max(...ones) > 1 || a.padding_mode !== MODES[0])) this.more.open = true;
  }

  // The sentence or what is wrong, the value of what is kept, and the steps through z.
  buildTold() {
    const { words } = this;
    this.told = make("p", { "aria-live": "polite" });
    this.problem = make("p", { class: "problem", role: "alert" });
    this.edited = make("input", {});
    this.edited.addEventListener("change", () => this.edit(this.pinned, this.edited.value));
    this.editor = make("label", { hidden: "" }, this.edited);
    this.slider = this.button(words.step.play, () => this.play("window"));
    this.link = this.button(words.share, () => this.copy(this.link, location.href), "copy");
    // A page with the whole explorer, which takes this state.
    this.whole = this.hasAttribute("explorer") ? make("a", { class: "copy" }, words.open) : null;
    const back = this.button("‹", () => { this.stop(); this.step(-1); });
    const next = this.button("›", () => { this.stop(); this.step(1); });
    back.setAttribute("aria-label", words.step.back);
    next.setAttribute("aria-label", words.step.next);
    this.steps = [back, this.slider, next];
    return make("div", { class: "told" }, this.told, this.problem,
      make("span", {}, this.editor, ...this.steps, this.link, this.whole));
  }
}
