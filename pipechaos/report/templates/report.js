"use strict";
(function () {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const tools = document.querySelector(".tools");
  if (tools) {
    tools.hidden = false;
    const items = all("#survivor-list .survivor");
    const texts = items.map((item) => item.textContent.toLowerCase());
    const find = document.getElementById("find");
    const found = document.getElementById("found");
    const show = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      items.forEach((item, at) => {
        item.hidden = !words.every((word) => texts[at].includes(word));
        shown += item.hidden ? 0 : 1;
      });
      found.textContent = shown + " of " + items.length + " shown";
    };
    find.addEventListener("input", show);
    const setAll = (open) => all("#survivor-list details").forEach((item) => { item.open = open; });
    document.getElementById("open-all").addEventListener("click", () => setAll(true));
    document.getElementById("close-all").addEventListener("click", () => setAll(false));
    show();
  }
  all("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("num");
        const was = head.getAttribute("aria-sort");
        const down = was ? was === "ascending" : numeric;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = (row) => row.cells[column].textContent;
        const order = (a, b) => numeric
          ? parseFloat(value(a)) - parseFloat(value(b))
          : value(a).localeCompare(value(b));
        Array.from(body.rows).sort((a, b) => (down ? -order(a, b) : order(a, b))).forEach((row) => body.append(row));
      });
    });
  });
})();
