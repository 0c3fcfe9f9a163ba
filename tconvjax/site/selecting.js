// What is selected in a picture: the cells that light up with it, and the sentence on it.

class Picture extends Views {
  linksOf(pick) {
    const same = (link) => ["y", "z", "w", "c"].every(
      (name) => pick[name] === undefined || pick[name] === link[name]);
    return { nothing: true, zero: true, border: true }[pick.kind] ? [] : this.links.filter(same);
  }

  // Every pair of a name and a tap, in whose colour a selection lights it.
  lights(pick) {
    const found = this.linksOf(pick), pairs = [];
    const own = "yzw".includes(pick.kind) ? `${pick.kind}${pick[pick.kind]}` : "";
    for (const link of found) {
      const keys = [`y${link.y}`, `w${link.w}`, `s${link.y},${link.c}`];
      if (link.z >= 0) keys.push(`z${link.z}`, `e${link.z},${link.y}`);
      pairs.push(...keys.filter((key) => key !== own).map((key) => [key, link.w]));
    }
    return pairs;
  }

  // A selection of another picture, if this one has its places.
  carried(pick, from) {
    const letters = {
      entry: "yw", off: "yw", nothing: "zy", several: "zy", y: "y", z: "z", w: "w", ...LIKE,
    }[pick.kind];
    const found = { kind: pick.kind };
    for (const letter of letters || "") {
      const place = unravel(pick[letter], from.shapes[letter]), shape = this.shapes[letter];
      if (place.length !== shape.length || place.some((at, n) => at >= shape[n])) return null;
      found[letter] = ravel(place, shape);
    }
    if (LIKE[pick.kind]) found[pick.kind] = found[letters];
    if (!letters || letters.length === 1) return letters ? found : null;
    const link = this.links.find((one) => [...letters].every((name) => one[name] === found[name]));
    if (!link) return { ...found, kind: "nothing" };
    if (link.z < 0) return { ...link, kind: "off" };
    const several = this.byEntry.get(`${link.z},${link.y}`).length > 1;
    return several ? { z: link.z, y: link.y, kind: "several" } : { ...link, kind: "entry" };
  }

  // The places under the flipped kernel while it gives an element of z.
  window(z) {
    return windowAt(this.a, unravel(z, this.shapes.z)).map(({ w, channel, at }) => [`u${[channel, ...at]}`, w]);
  }

  // What each cell is given, as classes and style, while a selection is lit and so many stamps lie on
  // the sheet, the last of which has just been put down.
  looks(pick, built = null) {
    const found = new Map();
    const give = (cell, kind, style = "", note = "") => {
      const look = found.get(cell) || { kinds: new Set(), style: "", note: "" };
      kind.split(" ").forEach((one) => look.kinds.add(one));
      found.set(cell, { kinds: look.kinds, style: style || look.style, note: note || look.note });
    };
    const each = (key, ...look) => (this.board.lit.get(key) || []).forEach((cell) => give(cell, ...look));
    if (!pick) return found;
    for (const [key, tap] of this.lights(pick)) each(key, "lit", this.colours(tap));
    if (pick.kind === "z" || pick.kind === "entry") {
      for (const [key, tap] of this.window(pick.z)) {
        each(key, "lit under", this.colours(tap), `×${this.text("w", this.w[tap])}`);
      }
    }
    if (pick.kind === "y") {
      for (const link of this.linksOf(pick)) {
        if (link.z < 0) continue;
        each(`dx${link.z}`, "under", "", this.step("z", this.y[pick.y] * this.w[link.w]));
        each(`dw${link.w}`, "under", "", this.step("dw", this.y[pick.y] * this.x[link.z]));
      }
    }
    if (built) {
      for (const link of this.links.filter(({ y }) => y === built - 1)) {
        give(this.board.sheet.get(link.c), `lit under landing${built % 2}`, this.colours(link.w),
          this.step("z", this.y[link.y] * this.w[link.w]));
      }
    }
    if (pick.kind === "z") each(`row${pick.z}`, "band");
    if (pick.kind === "y") each(`column${pick.y}`, "band");
    for (const key of this.ownKeys(pick)) each(key, "chosen");
    return found;
  }

  ownKeys(pick) {
    if (pick.kind === "entry") return [`e${pick.z},${pick.y}`, `s${pick.y},${pick.c}`];
    if (pick.kind === "nothing" || pick.kind === "several") return [`e${pick.z},${pick.y}`];
    if (pick.kind === "off") return [`s${pick.y},${pick.c}`];
    return pick[pick.kind] === undefined ? [] : [pick.kind + pick[pick.kind]];
  }

  // One sentence on a selection.
  sentence(pick) {
    const { words } = this, found = this.linksOf(pick);
    const name = (letter) => this.name(letter, pick[letter]), at = (letter) => this.label(letter, pick[letter]);
    const value = (letter, index = pick[letter]) => this.text(letter, this[letter][index]);
    const kept = found.filter((link) => link.z >= 0).length, cut = found.length - kept;
    const product = () => this.text("z", this.y[pick.y] * this.w[pick.w]);
    switch (pick.kind) {
      case "z": return words.z(
        name("z"), found.map((link) => `${this.name("y", link.y)}·${this.name("w", link.w)}`),
        found.map((link) => `${factor(value("y", link.y))}·${factor(value("w", link.w))}`), value("z"), at("z"));
      case "y": return words.y(name("y"), value("y"), kept, cut, at("y"));
      case "w": return words.w(name("w"), value("w"), kept, cut);
      case "entry": return words.entry(name("z"), name("y"), name("w"), value("w"), product(), at("z"), at("y"));
      case "several": return words.several(name("z"), name("y"),
        found.map((link) => this.name("w", link.w)).join(" + "),
        this.text("w", found.reduce((sum, link) => sum + this.w[link.w], 0)), at("z"), at("y"));
      case "off": return words.off(name("y"), name("w"), product());
      case "nothing": {
        const apart = this.groupOf("z", pick.z) !== this.groupOf("y", pick.y);
        return words[apart ? "blocks" : "nothing"](name("z"), name("y"), at("z"), at("y"));
      }
      case "unread": return words.unread(name("y"));
      case "x": return words.x(name("x"), value("x"), kept, this.name("z", pick.z), this.text("z", this.z[pick.z]));
      case "Cx": case "dw": {
        const letters = pick.kind === "Cx" ? ["x", "w"] : ["y", "x"];
        const products = (say) => found.filter((link) => link.z >= 0)
          .map((link) => letters.map((letter) => say(letter, link[LIKE[letter] || letter])).join("·"));
        return words[pick.kind](
          name(pick.kind), products((...at) => this.name(...at)), products((...at) => factor(value(...at))),
          this.text(pick.kind, pick.kind === "Cx" ? this.forward[pick.Cx] : this.gradient[pick.dw]),
          this.name(LIKE[pick.kind], pick[LIKE[pick.kind]]));
      }
      default: return words[pick.kind];
    }
  }
}
