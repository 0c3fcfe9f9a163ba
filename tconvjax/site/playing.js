// What moves: the stamps, which are put down on their sheet one after the other, and the flipped
// kernel, which slides over z.

const PACE = 1000; // milliseconds of one step at the usual speed
const SPEEDS = [0.5, 1, 2, 4];

class Playing extends Pointing {
  // What moves the stamps: play, scrub, and the speed of everything that moves.
  buildPlayer() {
    const { words } = this;
    this.stamper = this.button(words.stamper.play, () => this.play("sheet"));
    this.scrub = make("input", { type: "range", min: 0, step: 1, "aria-label": words.stamper.scrub });
    this.scrub.addEventListener("input", () => { this.stop(); this.putDown(Number(this.scrub.value)); });
    this.down = make("output", { "aria-live": "off" }); // the slider says it
    const [speed, select] = this.choice(words.stamper.speed, SPEEDS.map((n) => [n, `${n}×`]), () => {
      const what = this.playing;
      if (what) { this.stop(); this.play(what); }
    });
    select.value = 1;
    this.speed = select;
    this.player = make("div", { class: "player" }, this.stamper, this.scrub, this.down, speed);
  }

  // The sheet after the stamps that have been put down; all of them, if nobody plays.
  showSheet() {
    const { picture } = this, all = picture.y.length, stamps = this.built ?? all;
    this.scrub.value = stamps;
    this.down.textContent = this.words.stamper.down(stamps, all);
    this.scrub.setAttribute("aria-valuetext", this.down.textContent);
    if (stamps === this.sheetShows) return;
    this.sheetShows = stamps;
    const { sums, reached } = picture.sheetAfter(stamps);
    for (const [c, cell] of picture.board.sheet) {
      const text = stamps === all || reached.has(c) ? picture.text("z", sums[c]) : "";
      if (cell.textContent === text) continue;
      cell.textContent = text;
      const { label } = picture.board.specs.get(cell);
      if (label) cell.setAttribute("aria-label", label.replace(/\S+$/, text || 0));
    }
  }

  // Keeps the next element of the kind that is kept, of z if none is: the flipped kernel slides.
  step(by) {
    const kind = ["y", "z", "w"].includes(this.pinned?.kind) ? this.pinned.kind : "z";
    const all = this.picture[kind].length, now = this.pinned?.[kind] ?? (by > 0 ? -1 : all);
    this.built = null;
    this.pinned = { kind, [kind]: (now + by + all) % all };
    this.show();
  }

  // So many stamps lie on the sheet, and the last of them is kept.
  putDown(stamps) {
    this.built = stamps;
    this.pinned = stamps ? { kind: "y", y: stamps - 1 } : null;
    this.show();
  }

  putDownNext() {
    const all = this.picture.y.length, now = this.built ?? all;
    this.putDown(now < all ? now + 1 : 1);
    if (this.built === all) this.stop();
  }

  // Plays the stamps onto the sheet, or lets the flipped kernel slide over z, and stops if it does.
  play(what) {
    const stops = this.playing === what;
    this.stop();
    if (stops) return;
    const act = what === "sheet" ? () => this.putDownNext() : () => this.step(1);
    this.playing = what;
    this.told.setAttribute("aria-live", "off"); // a sentence a second is too much to hear
    this.timer = setInterval(act, PACE / this.speed.value);
    this.nameButtons();
    act();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = this.playing = null;
    this.told.setAttribute("aria-live", "polite");
    this.nameButtons();
  }

  nameButtons() {
    const { step, stamper } = this.words;
    this.slider.textContent = step[this.playing === "window" ? "pause" : "play"];
    this.stamper.textContent = stamper[this.playing === "sheet" ? "pause" : "play"];
  }

  // Lets go of what is kept or plays.
  release() {
    this.stop();
    this.pinned = this.built = null;
    this.show();
  }
}
