"use strict";
(() => {
  const book = JSON.parse(document.getElementById("book").textContent);
  const cardOf = (i) => document.getElementById(`pair-${i + 1}`);
  const pages = [...document.querySelectorAll(".page")];
  const words = ["same", "different", "unsure"];
  const reviewer = document.getElementById("reviewer");
  const key = "winnow-review-" + book.id;
  let current = 0;
  let page = 0;

  // Answers outlive a reload where the browser allows it; the downloaded file is what counts.
  const stored = (() => {
    try { return JSON.parse(localStorage.getItem(key)) || {}; } catch { return {}; }
  })();
  const answers = book.pairs.map((pair, i) => ({
    word: pair.decision, note: "", ...(stored.answers || {})[i],
  }));
  reviewer.value = stored.reviewer || "";
  const remember = () => {
    const changed = {};
    answers.forEach((answer, i) => {
      if (answer.word !== book.pairs[i].decision || answer.note) changed[i] = answer;
    });
    try {
      localStorage.setItem(key, JSON.stringify({ reviewer: reviewer.value, answers: changed }));
    } catch { /* private window: nothing to remember into */ }
  };

  // The same rules as pairs_csv.to_cell.
  const risky = /([,;\t\r\n"])(?=[=+\-@'＝＋－＠])/g;
  const toCell = (text) => {
    const inside = text.replace(risky, "$1'");
    return !text || /^\p{L}/u.test(text) ? inside : "'" + inside;
  };
  const quoted = (text) => '"' + text.replaceAll('"', '""') + '"';
  const table = () => {
    const lines = book.pairs.map((pair, i) => {
      const { word, note } = answers[i];
      const by = word === pair.decision ? pair.decided_by : toCell(reviewer.value.trim());
      return [...pair.cells, word, word ? by : "", toCell(note.trim())].map(quoted).join(",");
    });
    return "\ufeff" + [book.columns.map(quoted).join(","), ...lines].join("\r\n") + "\r\n";
  };

  const paint = (i) => {
    const card = cardOf(i);
    for (const input of card.querySelectorAll("[type=radio]")) {
      input.checked = input.value === answers[i].word;
    }
    card.classList.toggle("answered", answers[i].word !== "");
    card.querySelector(".clear").hidden = answers[i].word === book.pairs[i].decision;
  };
  const tally = () => {
    const total = answers.length;
    const counts = words.map((word) => answers.filter((answer) => answer.word === word).length);
    const decided = counts.reduce((sum, count) => sum + count, 0);
    document.getElementById("decided").textContent = `${decided} of ${total} decided`;
    document.getElementById("split").textContent =
      words.map((word, n) => `${counts[n]} ${word}`).join(" · ");
    words.forEach((word, n) => {
      document.querySelector(`.track .${word}`).style.width = `${(100 * counts[n]) / total}%`;
    });
    document.getElementById("done").hidden = decided < total;
  };
  // A page's cards wait in a template until it is opened, so that many pairs load quickly.
  const build = (section, first) => {
    const template = section.querySelector("template");
    if (template) template.replaceWith(template.content);
    if (section.dataset.built) return;
    section.dataset.built = "yes";
    [...section.querySelectorAll(".pair")].forEach((card, n) => equip(card, first + n));
  };
  const equip = (card, i) => {
    const note = card.querySelector(".note");
    note.value = answers[i].note;
    note.addEventListener("input", () => { answers[i].note = note.value; remember(); });
    card.addEventListener("change", (event) => {
      if (event.target.type === "radio") answer(i, event.target.value);
    });
    card.addEventListener("pointerdown", () => focusOn(i, false));
    card.querySelector(".clear").addEventListener("click", () => clear(i));
    paint(i);
  };
  const open = (wanted) => {
    page = Math.max(0, Math.min(pages.length - 1, wanted));
    build(pages[page], page * book.pairs_per_page);
    pages.forEach((section, n) => { section.hidden = n !== page; });
    for (const label of document.querySelectorAll(".where")) {
      label.textContent = `Page ${page + 1} of ${pages.length}`;
    }
    for (const button of document.querySelectorAll("[data-turn]")) {
      const target = page + Number(button.dataset.turn);
      button.disabled = target < 0 || target >= pages.length;
    }
  };
  const focusOn = (i, scroll = true) => {
    cardOf(current)?.classList.remove("current");
    current = Math.max(0, Math.min(answers.length - 1, i));
    const home = Math.floor(current / book.pairs_per_page);
    if (home !== page) open(home);
    const card = cardOf(current);
    card.classList.add("current");
    if (scroll) {
      card.focus({ preventScroll: true });
      card.scrollIntoView({ block: "start" });
    }
  };
  const answer = (i, word) => {
    answers[i].word = word;
    paint(i);
    tally();
    remember();
  };
  // An earlier decision cannot be emptied here; taking it back is a new answer.
  const clear = (i) => answer(i, book.pairs[i].decision);
  const nextOpen = (from) => {
    for (let step = 1; step <= answers.length; step += 1) {
      const i = (from + step) % answers.length;
      if (!answers[i].word) return i;
    }
    return from;
  };

  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => {
      open(page + Number(button.dataset.turn));
      focusOn(page * book.pairs_per_page);
      window.scrollTo(0, 0);
    });
  }
  reviewer.addEventListener("input", remember);
  document.getElementById("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    link.download = "pairs.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input[type=text]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const word = { s: "same", d: "different", u: "unsure" }[event.key.toLowerCase()];
    if (word) {
      answer(current, word);
      focusOn(nextOpen(current));
    } else if (event.key === "j") focusOn(current + 1);
    else if (event.key === "k") focusOn(current - 1);
    else if (event.key === "Backspace") clear(current);
    else return;
    event.preventDefault();
  });
  open(0);
  tally();
  focusOn(Math.max(0, answers.findIndex(({ word }) => !word)), false);
})();
