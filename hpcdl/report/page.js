"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const original = [...body.rows];

  // What a cell is sorted by: the exact number where it has one, else its text; null for an unknown value.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if ("value" in cell.dataset) return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "-" ? null : text;
  };
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const sort = (column) => {
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    heads.forEach((head, index) => {
      head.setAttribute("aria-sort", index !== column ? "none" : down ? "descending" : "ascending");
    });
    const compare = (a, b) => {
      const first = valueOf(a, column), second = valueOf(b, column);
      if (first === null || second === null) return (first === null) - (second === null);
      const order = typeof first === "number" ? first - second : collator.compare(first, second);
      return down ? -order : order;
    };
    body.append(...original.slice().sort(compare));
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  });

  const form = document.querySelector(".filters");
  const text = document.getElementById("text");
  const outcome = document.getElementById("outcome");
  const count = document.getElementById("count");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of original) {
      const fits = row.textContent.toLowerCase().includes(wanted)
        && (!outcome || outcome.value === "" || row.dataset.outcome === outcome.value);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${original.length} rows`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
