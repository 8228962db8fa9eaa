"use strict";
// All of this is a bonus: the page says everything without it.

// Tables sort by the column whose heading is pressed: numbers by number, the rest as text.
for (const table of document.querySelectorAll("table.sort")) {
  const heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, i) => {
    const cell = row.cells[i];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = parseFloat(text.replace(/,/g, "").replace(/^★\s*/, ""));
    return Number.isNaN(number) ? text : number;
  };
  heads.forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const x = valueOf(a, i), y = valueOf(b, i);
        const order = typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1;
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}

// On a narrow screen the drawing begins with its first box, not with what is left of it.
for (const graph of document.querySelectorAll("svg.graph")) {
  const scroller = graph.parentElement, boxes = [...graph.querySelectorAll(".box")].map((box) => box.getBoundingClientRect());
  const top = boxes.reduce((first, box) => (!first || box.top < first.top ? box : first), null);
  if (top) scroller.scrollLeft = top.left + top.width / 2 - scroller.getBoundingClientRect().left - scroller.clientWidth / 2;
}

// On paper everything is open.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
