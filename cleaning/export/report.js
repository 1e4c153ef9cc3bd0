"use strict";
(() => {
  const table = document.getElementById("identities");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const texts = rows.map((row) => row.textContent.toLocaleLowerCase());

  const valueAt = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.n === undefined ? cell.textContent : Number(cell.dataset.n);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));

  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !texts[i].includes(wanted);
      shown += row.hidden ? 0 : 1;
    });
    found.textContent = wanted ? `${shown} found` : "";
  });
  for (const head of table.tHead.rows[0].cells) {
    head.querySelector("button").addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const numbers = head.classList.contains("n");
      const rising = before ? before === "descending" : !numbers;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const sign = rising ? 1 : -1;
      const column = head.cellIndex;
      const order = [...rows].sort((a, b) => sign * compare(valueAt(a, column), valueAt(b, column)));
      body.append(...order);
    });
  }
})();
